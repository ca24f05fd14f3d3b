"""Whether a SIP server answers, asked as a client would ask."""

from __future__ import annotations

import contextlib
import secrets
import socket

# UDP: what is not answered at once was most likely lost before the server could read. TCP: the system accepts for it.
_KINDS = {"udp": (socket.SOCK_DGRAM, 0.1), "tcp": (socket.SOCK_STREAM, 1.0)}

TRANSPORTS = tuple(_KINDS)
"""The order in which Kamailio starts to serve: it starts the processes for TCP last."""


def answers(transport: str, address: str, port: int, uri: str) -> bool:
    """Whether an OPTIONS for `uri` (RFC 3261, section 11) gets an answer, whatever it is, within a second."""
    kind, seconds = _KINDS[transport]
    with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
        probe.settimeout(seconds)
        probe.connect((address, port))
        host, own_port = probe.getsockname()
        tag = secrets.token_hex(8)
        lines = [
            f"OPTIONS {uri} SIP/2.0",
            f"Via: SIP/2.0/{transport.upper()} {host}:{own_port};branch=z9hG4bK-ready-{tag}",
            f"From: <sip:kemi@{host}:{own_port}>;tag={tag}",
            f"To: <{uri}>",
            f"Call-ID: ready-{tag}",
            "CSeq: 1 OPTIONS",
            "Max-Forwards: 1",
            "Content-Length: 0",
        ]
        probe.sendall("\r\n".join([*lines, "", ""]).encode())
        return probe.recv(65535).startswith(b"SIP/2.0 ")
    return False
