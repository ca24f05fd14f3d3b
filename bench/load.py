"""Requests as phones behind a NAT send them, as fast as the answers come back."""

from __future__ import annotations

import itertools
import socket
from enum import Enum

WINDOW = 16  # requests on their way at the same time: the worker never waits, no socket buffer overflows
ANSWER_SECONDS = 5.0

_numbers = itertools.count()


class Load(Enum):
    """What is asked."""

    REGISTER = "REGISTER behind a NAT"
    OPTIONS = "OPTIONS to the server"
    UNKNOWN = "MESSAGE to unknown user"
    STRANGER = "MESSAGE to foreign domain"


def message(load: Load, number: int) -> bytes:
    """One request; it claims the private address of a phone behind a NAT."""
    uri = {
        Load.REGISTER: "sip:example.com",
        Load.OPTIONS: "sip:example.com",
        Load.UNKNOWN: f"sip:nobody{number % 1000}@example.com",
        Load.STRANGER: "sip:bob@elsewhere.example",
    }[load]
    method = load.value.partition(" ")[0]
    user = f"user{number % 1000}"
    return (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 192.168.1.10:5060;branch=z9hG4bK-bench-{number};rport\r\n"
        "Max-Forwards: 70\r\n"
        f"From: <sip:{user}@example.com>;tag=t{number}\r\n"
        f"To: <sip:{user}@example.com>\r\n"
        f"Call-ID: bench-{number}\r\n"
        f"CSeq: 1 {method}\r\n"
        f"Contact: <sip:{user}@192.168.1.10:5060>\r\n"
        "User-Agent: bench\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


def flood(address: str, port: int, load: Load, count: int) -> None:
    """Send `count` requests and take their answers. Raises TimeoutError when an answer is lost."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.settimeout(ANSWER_SECONDS)
        phone.connect((address, port))
        prepared = [message(load, next(_numbers)) for _ in range(count)]
        for position, data in enumerate(prepared):
            phone.send(data)
            if position >= WINDOW:
                phone.recv(65535)
        for _ in range(min(WINDOW, count)):
            phone.recv(65535)
