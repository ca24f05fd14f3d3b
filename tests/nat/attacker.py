"""Somebody with sipvicious on a host of the laboratory, and what the host's wire says of it."""

import itertools
import signal
import sys
from pathlib import Path
from typing import Literal

from kemi.deadline import wait_until
from kemi.lab import pcap
from kemi.lab.lab import Lab
from kemi.lab.network import Host
from kemi.lab.pcap import Datagram
from kemi.lab.process import Process
from kemi.lab.report.message import Message

Tool = Literal["svmap", "svwar", "svcrack"]

A_PHONE = "Grandstream GXP2160 1.0.11.3"
"""The User-Agent of an attacker in disguise."""

ITS_OWN_NAME = ""

_DISGUISE = Path(__file__).with_name("sipvicious_as.py")
_SECONDS = 45


class Attack:
    """A tool of sipvicious at work."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def is_running(self) -> bool:
        return self._process.is_running

    def report(self) -> str:
        """What the tool found out, in its words, when it has given up. Raises DeadlineError if it does not."""
        wait_until(f"{self._process.name} to end or give up", self._is_over, _SECONDS, every=0.1)
        self._process.stop(signal.SIGINT)
        return self._said()

    def _is_over(self) -> bool:
        # svcrack goes on listening for ten seconds, without a word from either side.
        return not self._process.is_running or "since we last received a response - stopping" in self._said()

    def _said(self) -> str:
        return self._process.log.read_text(errors="replace")


class Attacker:
    """Runs sipvicious on `host` against the laboratory's server."""

    def __init__(self, lab: Lab, host: Host) -> None:
        self.host = host
        self._server = lab.server
        self._folder = lab.run_dir / "attackers" / host.namespace.name.rpartition("-")[2]
        self._numbers = itertools.count(1)
        self._capture = lab.capture(host, self._folder / "attacker.pcap")

    def start(self, tool: Tool, *arguments: str, user_agent: str = A_PHONE) -> Attack:
        """Begin an attack; `arguments` are the tool's own."""
        if user_agent == ITS_OWN_NAME:
            command = [str(Path(sys.executable).with_name(f"sipvicious_{tool}"))]
        else:
            command = [sys.executable, str(_DISGUISE), user_agent, tool]
        # Without -x the tools ask DNS for this machine's address.
        command += ["-v", "-x", self.host.address, *arguments, self._server.host.address]
        log = self._folder / f"{tool}-{next(self._numbers)}.log"
        return Attack(Process(f"{tool} on {self.host.namespace.name}", command, self.host.namespace, log))

    def run(self, tool: Tool, *arguments: str, user_agent: str = A_PHONE) -> str:
        """Attack, and return what the tool found out. Raises DeadlineError when it does not end."""
        return self.start(tool, *arguments, user_agent=user_agent).report()

    def word_list(self, *words: str) -> str:
        """The file with these user names or passwords, for the tools' option ``-d``."""
        path = self._folder / f"words-{next(self._numbers)}"
        path.write_text("".join(f"{word}\n" for word in words))
        return str(path)

    def received(self) -> list[Datagram]:
        """Every UDP datagram that has reached the host."""
        self._capture.flush()
        return [one for one in pcap.datagrams(self._capture.path) if one.destination[0] == self.host.address]

    def replies(self) -> list[Message]:
        """The SIP replies among them."""
        return [Message.parse(one.payload) for one in self.received()]
