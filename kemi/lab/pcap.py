"""Capture files: the classic pcap format, Ethernet frames, and the UDP datagrams inside."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MAGIC = 0xA1B2C3D4
_ETHERNET = 1
_SNAP_LENGTH = 65535
_IPV4 = 0x0800
_UDP = 17
_FRAGMENT = 0x3FFF  # "more fragments" and the offset (RFC 791)

FILE_HEADER = struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, _SNAP_LENGTH, _ETHERNET)


def record(time_ns: int, frame: bytes) -> bytes:
    """One frame as it stands in a capture file."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return struct.pack("<IIII", seconds, nanoseconds // 1000, len(frame), len(frame)) + frame


@dataclass(frozen=True)
class Datagram:
    """A UDP datagram as it was seen on a wire; addresses are ``(address, port)``."""

    time: float
    source: tuple[str, int]
    destination: tuple[str, int]
    payload: bytes


def udp(frame: bytes, time: float = 0.0) -> Datagram | None:
    """The UDP datagram in an Ethernet frame; None when it holds none, or a fragment of one."""
    if len(frame) < 42 or struct.unpack_from("!H", frame, 12)[0] != _IPV4 or frame[23] != _UDP:
        return None
    if struct.unpack_from("!H", frame, 20)[0] & _FRAGMENT:
        return None
    start = 14 + (frame[14] & 0x0F) * 4
    source_port, destination_port, length = struct.unpack_from("!HHH", frame, start)
    return Datagram(
        time,
        (socket.inet_ntoa(frame[26:30]), source_port),
        (socket.inet_ntoa(frame[30:34]), destination_port),
        frame[start + 8 : start + length],
    )


def datagrams(path: Path) -> Iterator[Datagram]:
    """The UDP datagrams of a capture file that `record` wrote, in order.

    A record that is not complete yet ends the reading: the file may still grow. Raises ValueError when the file is
    of another format.
    """
    data = path.read_bytes()
    if data[: len(FILE_HEADER)] != FILE_HEADER:
        raise ValueError(
            f"{path}: expected a little-endian pcap file of Ethernet frames, found {data[:4].hex()}"
        )
    position = len(FILE_HEADER)
    while position + 16 <= len(data):
        seconds, microseconds, length, _ = struct.unpack_from("<IIII", data, position)
        position += 16
        if position + length > len(data):
            return
        found = udp(data[position : position + length], seconds + microseconds / 1e6)
        if found:
            yield found
        position += length
