"""Servers that run in the foreground together: started in order, stopped in reverse, watched by one signal wait."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from kemi.process import ChildProcess, end_with_parent

STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
_AWAITED = STOP_SIGNALS | {signal.SIGCHLD}
_TAIL_LINES = 20


class ProcessError(click.ClickException):
    """A server ended or did not get ready. The text has the end of its log."""


class Stopped(Exception):  # noqa: N818 - no error: somebody pressed Ctrl-C
    """SIGINT or SIGTERM came while the servers were starting."""


class Server(ChildProcess):
    """One server, whose `log` begins anew."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        log.write_bytes(b"")
        # In a session of its own it does not get our Ctrl-C: the order in which servers stop is ours.
        super().__init__(name, command, log, folder=folder, environment=environment, prepare=_prepare_child)

    def failure(self, what: str) -> ProcessError:
        """An error that says `what` and shows the end of the log."""
        status = "" if self.is_running else f" (status {self.exit_status})"
        return ProcessError(f"{self.name} {what}{status}; {self.end_of_log(_TAIL_LINES)}")


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
            if not server.is_running:
                raise server.failure(what)


def _prepare_child() -> None:
    for stop in STOP_SIGNALS:
        # A Ctrl-C that came before the child left our group is ours to obey: ignoring it here forgets it.
        signal.signal(stop, signal.SIG_IGN)
        signal.signal(stop, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
    end_with_parent()
