"""Servers that run in the foreground together: started in order, stopped in reverse, watched by one signal wait."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import click

STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
_AWAITED = STOP_SIGNALS | {signal.SIGCHLD}
_STOP_SECONDS = 10.0
_TAIL_LINES = 20
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class ProcessError(click.ClickException):
    """A server ended or did not get ready. The text has the end of its log."""


class Stopped(Exception):  # noqa: N818 - no error: somebody pressed Ctrl-C
    """SIGINT or SIGTERM came while the servers were starting."""


class Server:
    """One child process; what it prints goes to `log`."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_prepare_child,
                # Ctrl-C must reach us alone: the order in which servers stop is ours.
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def ended(self, seconds: float) -> int | None:
        """Wait for its end, `seconds` at most; the exit status, or None if it still runs."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        if self.running:
            self._process.terminate()
            if self.ended(_STOP_SECONDS) is None:
                self._process.kill()
                self.ended(_STOP_SECONDS)
        # The workers of a Kamailio whose main process was killed go on; they are all in our session's one group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def failure(self, what: str) -> ProcessError:
        """An error that says `what` and shows the end of the log."""
        lines = self.output.splitlines()[-_TAIL_LINES:]
        status = "" if self.running else f" (status {self._process.returncode})"
        tail = "\n".join(f"  | {line}" for line in lines) or "  | (empty)"
        return ProcessError(f"{self.name} {what}{status}; the end of {self.log}:\n{tail}")


class Servers:
    """Servers that live and die together. Leaving the block stops them all, the last started first."""

    def __init__(self) -> None:
        self._servers: list[Server] = []

    def __enter__(self) -> Self:
        # Blocked signals wait for sigwait, so none is lost between two waits and none interrupts a stop.
        self._old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in reversed(self._servers):
            server.stop()
        # The stop that ended the block has been obeyed; a second Ctrl-C must not end us with a traceback.
        while signal.sigtimedwait(_AWAITED, 0):
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, self._old_mask)

    def start(self, server: Server, ready: Callable[[], bool], awaited: str, seconds: float) -> None:
        """Watch `server` from now on and return when `ready()`.

        Raises ProcessError when it ends or is not ready within `seconds`, Stopped on Ctrl-C.
        """
        self._servers.append(server)
        deadline = time.monotonic() + seconds
        while not ready():
            self._check_running("ended while it was starting")
            if time.monotonic() > deadline:
                raise server.failure(f"is not ready: no {awaited} within {seconds:g} s")
            received = signal.sigtimedwait(_AWAITED, 0.1)
            if received and received.si_signo in STOP_SIGNALS:
                raise Stopped
        self._check_running("ended while it was starting")

    def wait(self) -> None:
        """Return on Ctrl-C or SIGTERM; raises ProcessError when one of the servers ends."""
        while True:
            self._check_running("ended by itself")
            if signal.sigwait(_AWAITED) in STOP_SIGNALS:
                return

    def _check_running(self, what: str) -> None:
        for server in self._servers:
            if not server.running:
                raise server.failure(what)


def _prepare_child() -> None:
    for stop in STOP_SIGNALS:
        # A Ctrl-C that came before the child left our group is ours to obey: ignoring it here forgets it.
        signal.signal(stop, signal.SIG_IGN)
        signal.signal(stop, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
    # If we are killed outright the kernel stops the server too.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
