"""A recorded call, for the tests of the report: baresip to baresip, each behind a symmetric NAT, through Kamailio.

The capture files are read here byte by byte, so that the tests of the report need no tshark.
"""

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

from kemi.lab.report.message import Message
from kemi.lab.report.wire import Endpoint, Packet
from kemi.lab.result import CallResult, Heard, Party

CALL = Path(__file__).parent / "data" / "call"
ALICE = Party("alice", "symmetric", "192.168.1.2", "203.0.113.21")
BOB = Party("bob", "symmetric", "10.0.0.2", "203.0.113.22")


def recorded(name: str) -> list[Packet]:
    """The SIP packets in a capture of the call: ``caller``, ``server`` or ``callee``."""
    return list(_packets((CALL / f"{name}.pcap").read_bytes()))


def _packets(data: bytes) -> Iterator[Packet]:
    position = 24
    while position < len(data):
        seconds, micros, size, _ = struct.unpack_from("<IIII", data, position)
        frame = data[position + 16 : position + 16 + size]
        position += 16 + size
        address = [str(IPv4Address(frame[at : at + 4])) for at in (26, 30)]
        ports = struct.unpack_from(">HH", frame, 34)
        source, destination = (Endpoint(*pair) for pair in zip(address, ports, strict=True))
        if 5060 in ports:
            message = Message.parse(frame[42:])
            yield Packet(seconds + micros / 1e6, source, destination, message)


def result(caller_nat: str = "symmetric", callee_nat: str = "symmetric", problem: str = "") -> CallResult:
    """What the recorded call came to."""
    return CallResult(
        caller="alice",
        callee="bob",
        caller_nat=caller_nat,
        callee_nat=callee_nat,
        ended_by="caller",
        heard=(Heard("bob", "alice", 440.0, 4.02, 202, 0), Heard("alice", "bob", 660.0, 3.98, 201, 0)),
        seconds=4.04,
        relay_sessions_left=0,
        ok=not problem,
        problem=problem,
        captures={name: CALL / f"{name}.pcap" for name in ("caller", "server", "callee")},
        parties=(ALICE, BOB),
    )
