"""The real RTPProxy on loopback, for tests."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from kemi.cli.paths import product_file
from kemi.deadline import wait_until
from kemi.testing.process import LOOPBACK, Process, ServerError, free_port, wait_ready


class Relay:
    """One relay, as `python rtpproxy` starts it; not started until :meth:`start` or a ``with`` block."""

    def __init__(self, folder: Path, address: str = LOOPBACK) -> None:
        self.address = address
        self.port = free_port(address)
        self.log = folder / "relay.log"
        self._folder = folder
        self._process: Process | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def control(self) -> str:
        """The control socket as kamailio.cfg's RTPPROXY_SOCK names it."""
        return f"udp:{self.address}:{self.port}"

    def start(self) -> Self:
        command = [sys.executable, str(product_file("rtpproxy")), f"--control={self.control}"]
        command += [f"--media-address={self.address}", "--ports=61000-65000"]
        self._process = Process("rtpproxy", command, self._folder, self.log)
        try:
            wait_ready(self._process, lambda: self._asks("V") != "", "an answer to the command V")
        except ServerError:
            self._process.kill()
            raise
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def freeze(self) -> None:
        """Give it no more time to run (SIGSTOP): its port stays open, and nothing answers. Ended by :meth:`kill`."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGSTOP)

    def ask(self, command: str) -> str:
        """Send a command of RTPProxy's control protocol; raises ServerError without an answer within 2 s."""
        answer = self._asks(command, seconds=2)
        if not answer:
            raise ServerError(f"{self.control}: expected an answer to {command!r}, found none within 2 s")
        return answer

    def sessions(self) -> int:
        """How many calls it relays now."""
        counts = dict(line.split(": ", 1) for line in self.ask("I").splitlines() if ": " in line)
        return int(counts["active sessions"])

    def wait_for_sessions(self, number: int, seconds: float = 5) -> None:
        """Wait until it relays `number` calls; raises DeadlineError."""
        wait_until(f"the relay to have {number} sessions", lambda: self.sessions() == number, seconds)

    def _asks(self, command: str, seconds: float = 0.1) -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            control.settimeout(seconds)
            control.connect((self.address, self.port))
            with contextlib.suppress(OSError):
                # The cookie in front: a repeated one would be answered from the relay's cache.
                control.send(f"{random.randrange(2**63)} {command}".encode())
                return control.recv(65535).decode().partition(" ")[2].strip()
            return ""
