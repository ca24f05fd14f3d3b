"""Waking Kamailio's workers: each loads routes only when it next has a message.

An OPTIONS to the server itself is such a message, as harmless as a keepalive. It comes from this machine, so no flood
check counts it.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import ssl
from collections.abc import Collection, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from kemi.cli import rpc
from kemi.cli.workers import Process
from kemi.trace import NUDGE

_ANSWER_SECONDS = 0.5  # a worker that has to load first takes a tenth of that
_MOST_CONNECTIONS = 64


@dataclass(frozen=True)
class Listener:
    """A socket at which Kamailio receives."""

    transport: str
    address: str
    port: int

    @property
    def host(self) -> str:
        """The address as a URI writes it."""
        return f"[{self.address}]" if ":" in self.address else self.address

    def is_of(self, does: str) -> bool:
        """Does a worker that core.psx describes so receive here? It writes IPv6 as "sock=[[::1]]:5060"."""
        return f"={self.address}:{self.port}" in does.replace("[", "").replace("]", "")


def listeners(path: Path) -> list[Listener]:
    """Where the Kamailio at this RPC socket receives over UDP, TCP or TLS."""
    found = []
    for row in rpc.call(path, "core.sockets_list"):
        values = row["socket"]
        if values["proto"] in ("udp", "tcp", "tls") and values.get("mcast", "no") == "no":
            address = str(ipaddress.ip_address(values["address"].strip("[]")))
            found.append(Listener(values["proto"], address, int(values["port"])))
    return found


class Nudger:
    """Wakes workers; a context, because a TCP worker keeps what it got until the connection ends."""

    def __init__(self, listeners: Collection[Listener]) -> None:
        self._udp = [listener for listener in listeners if listener.transport == "udp"]
        self._tcp = [listener for listener in listeners if listener.transport != "udp"]
        self._connections = ExitStack()
        self._opened = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connections.close()

    def wake(self, sleeping: Iterable[Process]) -> None:
        """One message for each socket that has workers among these, and one connection if a TCP worker is among them.

        Waits until each has been answered: the kernel gives the next message to the worker that has waited longest.
        """
        sleeping = list(sleeping)
        udp = [worker.does for worker in sleeping if worker.kind == "UDP worker"]
        for listener in self._udp:
            if any(listener.is_of(does) for does in udp):
                with suppress(OSError):
                    _ask_by_udp(listener)
        if self._tcp and any(worker.kind == "TCP worker" for worker in sleeping):
            with suppress(OSError):
                self._ask_by_tcp(self._tcp[self._opened % len(self._tcp)])

    def _ask_by_tcp(self, listener: Listener) -> None:
        """Each connection that stays open goes to the worker with the fewest."""
        if self._opened >= _MOST_CONNECTIONS:
            self._connections.close()
            self._opened = 0
        self._opened += 1
        connection = socket.create_connection((listener.address, listener.port), _ANSWER_SECONDS)
        if listener.transport == "tls":
            connection = _unverified().wrap_socket(connection)
        self._connections.enter_context(connection)
        connection.sendall(_options(listener, connection))
        connection.recv(65535)


def _ask_by_udp(listener: Listener) -> None:
    family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as datagram:
        datagram.settimeout(_ANSWER_SECONDS)
        datagram.connect((listener.address, listener.port))
        datagram.send(_options(listener, datagram))
        datagram.recv(65535)


def _unverified() -> ssl.SSLContext:
    """No secret is told, so it does not matter who listens."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _options(listener: Listener, ours: socket.socket) -> bytes:
    """An OPTIONS (RFC 3261, section 11) to the server itself."""
    host, port = ours.getsockname()[:2]
    sender = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    uri = f"sip:{listener.host}:{listener.port}"
    tag = secrets.token_hex(8)
    lines = [
        f"OPTIONS {uri} SIP/2.0",
        f"Via: SIP/2.0/{listener.transport.upper()} {sender};branch=z9hG4bK-{tag}",
        f"From: <sip:kemi@{sender}>;tag={tag}",
        f"To: <{uri}>",
        f"Call-ID: {NUDGE}{tag}",
        "CSeq: 1 OPTIONS",
        "Max-Forwards: 1",
        "User-Agent: kemi",
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()
