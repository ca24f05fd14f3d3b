"""The real RTPProxy on loopback, for tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Self

from kemi.cli.relay import relay_command
from kemi.deadline import DeadlineError, wait_until
from kemi.relay_control import RelayControl, RelayError
from kemi.testing.process import LOOPBACK, Process, Running, ServerError, free_port, wait_ready


class Relay(Running):
    """One relay, as `python rtpproxy` starts it; not started until :meth:`start` or a ``with`` block.

    With `record_dir` it writes there the calls that are to be recorded.
    """

    def __init__(self, folder: Path, address: str = LOOPBACK, *, record_dir: Path | None = None) -> None:
        super().__init__(folder)
        self.address = address
        self.record_dir = record_dir
        self.port = free_port(address)
        self.log = folder / "relay.log"
        self._control = RelayControl(self.address, self.port)

    @property
    def control(self) -> str:
        """The control socket as kamailio.cfg's RTPPROXY_SOCK names it."""
        return self._control.url

    def start(self) -> Self:
        record = [f"--record-dir={self.record_dir}"] if self.record_dir else []
        command = relay_command(self.control, self.address, "61000-65000", *record)
        self._process = Process("rtpproxy", command, self.folder, self.log)
        try:
            wait_ready(self._process, self._control.answers, "an answer to the command V")
        except ServerError:
            self._process.kill()
            raise
        return self

    def freeze(self) -> None:
        """Give it no more time to run (SIGSTOP): its port stays open, and nothing answers. Ended by :meth:`kill`."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def ask(self, command: str) -> str:
        """Send a command of RTPProxy's control protocol; raises ServerError without an answer within 2 s."""
        try:
            return self._control.ask(command)
        except (DeadlineError, RelayError) as problem:
            raise ServerError(str(problem)) from None

    def sessions(self) -> int:
        """How many calls it relays now."""
        return self._control.active_sessions()

    def wait_for_sessions(self, number: int, seconds: float = 5) -> None:
        """Wait until it relays `number` calls; raises DeadlineError."""
        wait_until(f"the relay to have {number} sessions", lambda: self.sessions() == number, seconds)
