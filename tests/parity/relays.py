"""The media relays: one for each server, with ports for all the sessions that unanswered calls leave to time out."""

from __future__ import annotations

import itertools
import socket
import sys
from pathlib import Path
from typing import Protocol

from kemi.cli.paths import product_file
from kemi.deadline import wait_until
from kemi.lab.network import Host
from kemi.lab.process import Process
from kemi.lab.relay import Relay
from tests.parity.network import RELAY_PORTS, RTPENGINE_CONTROL, SERVER


class MediaRelay(Protocol):
    """A relay that a server tells what to relay."""

    def stop(self) -> None: ...

    def sessions_of(self, call_id: str, from_tag: str) -> int:
        """Sessions that this call holds now."""
        ...


class RtpProxy(Relay):
    """RTPProxy, where the stock configuration looks for it."""

    def start(self) -> None:
        command = [sys.executable, str(product_file("rtpproxy")), "--control", self.control]
        command += ["--media-address", SERVER, "--ports", f"{RELAY_PORTS[0]}-{RELAY_PORTS[-1]}"]
        self._process = Process("relay", command, self.host.namespace, self._logs / "relay.log")
        self._process.wait_for_line("rtpproxy: ready", seconds=15)


class RtpEngine:
    """rtpengine in user space, where the stock configuration looks for it."""

    def __init__(self, host: Host, logs: Path) -> None:
        self._host = host
        self._cookies = itertools.count(1)
        command = ["rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--log-level=4"]
        command += ["--table=-1", f"--interface={SERVER}", "--listen-ng={}:{}".format(*RTPENGINE_CONTROL)]
        command += [f"--port-min={RELAY_PORTS[0]}", f"--port-max={RELAY_PORTS[-1]}", "--delete-delay=0"]
        command.append(f"--pidfile={logs / 'rtpengine.pid'}")
        self._process = Process("rtpengine", command, host.namespace, logs / "rtpengine.log")
        wait_until(
            f"rtpengine to answer (log: {self._process.log})",
            lambda: b"pong" in self._ask("7:command4:ping"),
            15,
        )

    def stop(self) -> None:
        self._process.stop()

    def sessions_of(self, call_id: str, from_tag: str) -> int:
        answer = self._ask(f"7:call-id{len(call_id)}:{call_id}7:command5:query")
        return 1 if b"6:result2:ok" in answer else 0

    def _ask(self, entries: str) -> bytes:
        """The answer to a command of the NG protocol, the entries of a dictionary in bencode; b"" without one."""
        self._process.require_running()
        with self._host.namespace.entered():
            control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with control:
            control.settimeout(1)
            control.connect(RTPENGINE_CONTROL)
            try:
                control.send(f"parity{next(self._cookies)} d{entries}e".encode())
                return control.recv(65535)
            except (TimeoutError, ConnectionRefusedError):
                return b""
