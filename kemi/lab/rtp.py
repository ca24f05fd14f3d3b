"""RTP packets (RFC 3550) among the datagrams of a capture."""

import struct
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from kemi.lab.pcap import Datagram

PCMU = 0
PCMA = 8
_HEADER = 12


@dataclass(frozen=True)
class Packet:
    """One packet of G.711 sound (RFC 3551)."""

    payload_type: int
    sequence: int
    ssrc: int
    payload: bytes


@dataclass(frozen=True)
class Stream:
    """What one synchronization source sent, without duplicates and in order."""

    ssrc: int
    packets: tuple[Packet, ...]
    lost: int
    """Packets missing between the first and the last."""


def parse(payload: bytes) -> Packet | None:
    """The packet in a datagram; None if it is not RTP with G.711 sound."""
    if len(payload) <= _HEADER or payload[0] >> 6 != 2 or payload[1] & 0x7F not in (PCMU, PCMA):
        return None
    sequence, _, ssrc = struct.unpack_from("!HII", payload, 2)
    start = _HEADER + 4 * (payload[0] & 0x0F)
    return Packet(payload[1] & 0x7F, sequence, ssrc, payload[start:])


def streams(datagrams: Iterable[Datagram], listener: str) -> list[Stream]:
    """The streams that reached the address `listener`, in order of their first packets."""
    found: defaultdict[int, dict[int, Packet]] = defaultdict(dict)
    for datagram in datagrams:
        packet = parse(datagram.payload) if datagram.destination[0] == listener else None
        if packet:
            numbers = found[packet.ssrc]
            highest = next(reversed(numbers), packet.sequence)
            # Sequence numbers are 16 bits wide: the nearest one to what came last.
            numbers.setdefault(highest + (packet.sequence - highest + 0x8000) % 0x10000 - 0x8000, packet)
    return [_stream(ssrc, numbers) for ssrc, numbers in found.items()]


def _stream(ssrc: int, numbers: dict[int, Packet]) -> Stream:
    expected = max(numbers) - min(numbers) + 1
    ordered = tuple(numbers[number] for number in sorted(numbers))
    return Stream(ssrc, ordered, expected - len(ordered))
