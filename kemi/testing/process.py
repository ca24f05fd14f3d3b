"""A server that a test started: what it prints goes to a file, and it never outlives the test run."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kemi.lab.deadline import wait_until

LOOPBACK = "127.0.0.1"
# Below the ports that the system hands out by itself, so that no client takes one between our probe and the start.
_PORTS = range(12000, 32000)
_READY_SECONDS = 15.0
_LINES_SHOWN = 40
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class ServerError(Exception):
    """A server ended, or did not get ready. The text has the end of its log."""


class Process:
    """A program in a process group of its own."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                preexec_fn=_end_with_parent,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; below 0 the signal that ended it."""
        return self._popen.poll()

    def wait(self, seconds: float) -> int:
        """The exit status. Raises ServerError if the program still runs after `seconds`."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self.failure(f"still runs after {seconds:g} s, expected it to end") from None

    def stop(self, seconds: float = 10) -> int:
        """End it by SIGTERM, and what is left of its group after `seconds` by SIGKILL; the exit status."""
        if self.exit_status is None:
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(seconds)
        return self.kill()

    def kill(self) -> int:
        """End it and its children at once, as a crash of the machine would; the exit status."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self._popen.wait(5)

    def wait_for_log(self, text: str, seconds: float, start: int = 0) -> str:
        """Wait until the log holds `text` after its first `start` characters; what stands there then."""

        def found() -> str:
            logged = self.log.read_text(errors="replace")[start:]
            if text in logged:
                return logged
            if self.exit_status is not None:
                raise self.failure(f"ended, expected {text!r} in its log")
            return ""

        try:
            return wait_until(f"{text!r} in the log of {self.name}", found, seconds)
        except TimeoutError as problem:
            raise self.failure(str(problem)) from None

    def failure(self, what: str) -> ServerError:
        """An error that says `what` and shows the end of the log."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LINES_SHOWN:]
        status = "" if self.exit_status is None else f" (exit status {self.exit_status})"
        tail = "\n".join(f"  | {line}" for line in lines) or "  | (empty)"
        return ServerError(f"{self.name}: {what}{status}; the end of {self.log}:\n{tail}")


def _end_with_parent() -> None:
    # If the test run is killed outright, the kernel ends the server too.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port(address: str = LOOPBACK) -> int:
    """A port that nobody uses now, neither for UDP nor for TCP."""
    for _ in range(100):
        port = random.choice(_PORTS)
        with contextlib.suppress(OSError):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind((address, port))
            return port
    raise ServerError(f"{address}: expected a free port in {_PORTS}, found none in 100 attempts")


def wait_ready(process: Process, ready: Callable[[], bool], awaited: str) -> None:
    """Wait until `ready()`; raises ServerError with the log if that takes too long or the process ends."""

    def asked() -> bool:
        if process.exit_status is not None:
            raise process.failure("ended while it was starting")
        return ready()

    try:
        wait_until(awaited, asked, _READY_SECONDS)
    except TimeoutError as problem:
        raise process.failure(str(problem)) from None
