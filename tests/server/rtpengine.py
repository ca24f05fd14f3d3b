"""A real rtpengine for tests: Debian's, in user space."""

from __future__ import annotations

import contextlib
import secrets
import socket
from pathlib import Path
from typing import Self

from kemi.testing.process import LOOPBACK, Process, ServerError, free_port, wait_ready


class RtpEngine:
    """Debian's rtpengine in user space, controlled over the NG protocol: a cookie, then bencode."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.process = Process(
            "rtpengine",
            [
                *("rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--log-level=5"),
                *("--table=-1", f"--interface={LOOPBACK}", f"--listen-ng={LOOPBACK}:{self.port}"),
                # Calls are gone when they have ended, not half a minute later.
                *("--port-min=50000", "--port-max=52000", "--delete-delay=0"),
                f"--pidfile={folder / 'rtpengine.pid'}",
            ],
            folder,
            folder / "rtpengine.log",
        )

    def __enter__(self) -> Self:
        try:
            wait_ready(self.process, lambda: b"pong" in self._ask("ping"), "an answer to ping")
        except ServerError:
            self.process.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    @property
    def control(self) -> str:
        """The control socket as kamailio.cfg's RTPENGINE_SOCK names it."""
        return f"udp:{LOOPBACK}:{self.port}"

    def relays(self, call_id: str) -> bool:
        """Does it relay this call now?"""
        answer = self._ask("list")
        assert b"2:ok" in answer, answer
        return call_id.encode() in answer

    def _ask(self, command: str) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control, contextlib.suppress(OSError):
            control.settimeout(1)
            control.connect((LOOPBACK, self.port))
            control.send(f"{secrets.token_hex(8)} d7:command{len(command)}:{command}e".encode())
            return control.recv(65535)
        return b""
