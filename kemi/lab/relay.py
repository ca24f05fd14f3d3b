"""The media relay: the project's own launcher in the server's namespace, and questions to it."""

import itertools
import re
import socket
import sys
from pathlib import Path

from kemi.cli.paths import product_file
from kemi.deadline import DeadlineError
from kemi.lab.errors import LabError
from kemi.lab.network import Host
from kemi.lab.process import Process

CONTROL = ("127.0.0.1", 7722)
_ACTIVE_SESSIONS = re.compile(r"^active sessions: (\d+)", re.MULTILINE)


class Relay:
    """RTPProxy on `host`, controlled on that host's loopback."""

    def __init__(self, host: Host, logs: Path) -> None:
        self.host = host
        self._logs = logs
        self._cookies = itertools.count(1)
        self.start()

    @property
    def control(self) -> str:
        """The control socket as Kamailio's configuration names it."""
        return f"udp:{CONTROL[0]}:{CONTROL[1]}"

    def start(self) -> None:
        """Start it (again) and wait until it answers. Raises LabError with its log when it does not start."""
        command = [sys.executable, str(product_file("rtpproxy")), "--control", self.control]
        command += ["--media-address", self.host.address, "--ports", "35000-36000", "--log-level", "info"]
        self._process = Process("relay", command, self.host.namespace, self._logs / "relay.log")
        self._process.wait_for_line("rtpproxy: ready", seconds=15)

    def stop(self) -> None:
        """Stop it; whoever asks Kamailio for a call now gets one without relay, or none."""
        self._process.stop()

    def ask(self, command: str, seconds: float = 2) -> str:
        """The answer to one command of the control protocol. Raises DeadlineError without one."""
        cookie = f"lab{next(self._cookies)}"
        with self.host.namespace.entered():
            datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with datagram:
            datagram.settimeout(seconds)
            datagram.connect(CONTROL)
            try:
                datagram.send(f"{cookie} {command}".encode())
                answer = datagram.recv(65536).decode()
            except TimeoutError as error:
                raise DeadlineError(f"relay: waited {seconds:g} s for the answer to {command!r}") from error
        return answer.removeprefix(cookie).strip()

    def statistics(self) -> str:
        """Totals and one paragraph per session (command ``I``)."""
        return self.ask("I")

    def active_sessions(self) -> int:
        """Sessions that hold ports now."""
        answer = self.statistics()
        found = _ACTIVE_SESSIONS.search(answer)
        if not found:
            raise LabError(f"relay: expected 'active sessions: N' in the answer to I, found {answer!r}")
        return int(found[1])

    def sessions_of(self, call_id: str, from_tag: str) -> int:
        """Sessions that this call holds: 1 while it is relayed, else 0 (command ``Q``, first media line)."""
        return 0 if self.ask(f"Q {call_id} {from_tag};1").startswith("E") else 1
