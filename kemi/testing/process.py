"""A server that a test started: what it prints goes to a file, and it never outlives the test run."""

from __future__ import annotations

import contextlib
import random
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from kemi.deadline import wait_until
from kemi.process import ChildProcess

LOOPBACK = "127.0.0.1"
# Below the ports that the system hands out by itself, so that no client takes one between our probe and the start.
_PORTS = range(12000, 32000)
_READY_SECONDS = 15.0
_LINES_SHOWN = 40


class ServerError(Exception):
    """A server ended, or did not get ready. The text has the end of its log."""


class Process(ChildProcess):
    """A program that a test started, ended at the latest with the test run."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name, command, log, folder=folder, environment=environment)

    def wait(self, seconds: float) -> int:
        """The exit status. Raises ServerError if the program still runs after `seconds`."""
        status = self.ended(seconds)
        if status is None:
            raise self.failure(f"still runs after {seconds:g} s, expected it to end")
        return status

    def wait_for_log(self, text: str, seconds: float, start: int = 0) -> str:
        """Wait until the log holds `text` after its first `start` characters; what stands there then."""

        def found() -> str:
            logged = self.output[start:]
            if text in logged:
                return logged
            if not self.is_running:
                raise self.failure(f"ended, expected {text!r} in its log")
            return ""

        try:
            return wait_until(f"{text!r} in the log of {self.name}", found, seconds)
        except TimeoutError as problem:
            raise self.failure(str(problem)) from None

    def failure(self, what: str) -> ServerError:
        """An error that says `what` and shows the end of the log."""
        status = "" if self.is_running else f" (exit status {self.exit_status})"
        return ServerError(f"{self.name}: {what}{status}; {self.end_of_log(_LINES_SHOWN)}")


class Running(ABC):
    """A server that runs from :meth:`start` to :meth:`stop`, or within a ``with`` block, with its files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: Process | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def process(self) -> Process:
        if self._process is None:
            raise ServerError(f"{self.folder}: expected a started server; call start() first")
        return self._process

    @abstractmethod
    def start(self) -> Self:
        """Start, and return when it answers; else ServerError with the log."""

    def stop(self) -> None:
        """End it in order; nothing happens if it does not run."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End all its processes at once (SIGKILL)."""
        self.process.kill()


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
        if not process.is_running:
            raise process.failure("ended while it was starting")
        return ready()

    try:
        wait_until(awaited, asked, _READY_SECONDS)
    except TimeoutError as problem:
        raise process.failure(str(problem)) from None
