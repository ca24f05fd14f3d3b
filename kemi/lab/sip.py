"""The SIP messages of a capture that still grows: what a test asks about the wire while phones are talking."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kemi.lab import pcap
from kemi.lab.report.message import Message
from kemi.lab.report.wire import Endpoint, Packet


def packets(capture: Path, since: float = 0) -> Iterator[Packet]:
    """Every SIP message over UDP, in order, from the moment ``since`` (``time.time()``) on."""
    for datagram in pcap.datagrams(capture):
        if datagram.time >= since:
            with contextlib.suppress(ValueError):  # sound, keepalives: whatever is not SIP
                message = Message.parse(datagram.payload)
                yield Packet(
                    datagram.time, Endpoint(*datagram.source), Endpoint(*datagram.destination), message
                )


def media_addresses(message: Message) -> list[str]:
    """Where a message wants sound to be sent: the addresses in the ``c=`` lines of its SDP (RFC 4566, 5.7)."""
    return [line.split()[-1] for line in message.body_lines if line.startswith("c=")]
