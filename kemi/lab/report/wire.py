"""What passed an interface: SIP packets and RTP streams, read from a capture file with tshark."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kemi.lab.report.message import Message


class CaptureError(Exception):
    """A capture file cannot be read."""


@dataclass(frozen=True, order=True)
class Endpoint:
    """An address and a port."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Packet:
    """A SIP message and the addresses in the IP header that carried it."""

    time: float
    """Seconds since 1970, by the clock of the machine."""
    source: Endpoint
    destination: Endpoint
    message: Message


@dataclass(frozen=True)
class Stream:
    """The RTP packets of one source (SSRC) from one endpoint to another."""

    ssrc: str
    source: Endpoint
    destination: Endpoint
    packets: int
    first: float
    last: float
    """Times of the first and the last packet, seconds since 1970."""
    payload_type: int = -1
    """What the first packet says it carries (RFC 3551, section 6)."""
    audio: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)
    """Timestamp and payload of each packet of that type."""


@dataclass(frozen=True)
class Traffic:
    """What a capture holds, in order of time."""

    packets: tuple[Packet, ...]
    streams: tuple[Stream, ...]


def read(capture: Path) -> Traffic:
    """Every SIP message and every RTP stream in a capture.

    Raises CaptureError when tshark is missing or cannot read the file.
    """
    packets: list[Packet] = []
    streams: dict[tuple[str, Endpoint, Endpoint], list[_RtpPacket]] = {}
    for row in _tshark(capture):
        time, source, destination = _addressing(row)
        ssrc, payload_type, timestamp, payload = row[7:11]
        if ssrc:
            packet = _RtpPacket(time, int(payload_type), int(timestamp), _bytes(payload))
            streams.setdefault((ssrc, source, destination), []).append(packet)
        else:
            data = _bytes(next((field for field in row[11:] if field), ""))
            packets += (Packet(time, source, destination, message) for message in _messages(data))
    return Traffic(
        tuple(sorted(packets, key=lambda packet: packet.time)),
        tuple(_stream(*key, seen) for key, seen in streams.items()),
    )


class _RtpPacket(NamedTuple):
    time: float
    payload_type: int
    timestamp: int
    payload: bytes


def _stream(ssrc: str, source: Endpoint, destination: Endpoint, packets: Sequence[_RtpPacket]) -> Stream:
    first = packets[0]
    audio = tuple((one.timestamp, one.payload) for one in packets if one.payload_type == first.payload_type)
    return Stream(
        ssrc, source, destination, len(packets), first.time, packets[-1].time, first.payload_type, audio
    )


def _tshark(capture: Path) -> Iterator[list[str]]:
    """Rows of time, addresses, ports (UDP, then TCP), four fields of RTP, and the ways to carry SIP."""
    columns = (
        *("frame.time_epoch", "ip.src", "ip.dst", "udp.srcport", "udp.dstport", "tcp.srcport", "tcp.dstport"),
        *("rtp.ssrc", "rtp.p_type", "rtp.timestamp", "rtp.payload"),
        *("tcp.reassembled.data", "tcp.payload", "udp.payload"),
    )
    command = ["tshark", "-n", "--enable-heuristic", "rtp_udp", "-r", str(capture)]
    command += ["-Y", "(sip || rtp) && !icmp", "-T", "fields", "-E", "occurrence=f"]
    command += [word for column in columns for word in ("-e", column)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise CaptureError(
            "tshark reads the captures and is not installed: install Debian's tshark"
        ) from error
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.splitlines() if not line.startswith("Running as user")]
        reason = " ".join(said) or f"exit status {error.returncode}"
        raise CaptureError(f"{capture}: expected a whole capture file, tshark says: {reason}") from error
    for line in done.stdout.splitlines():
        yield line.split("\t")


def _addressing(row: list[str]) -> tuple[float, Endpoint, Endpoint]:
    time, source, destination, udp_from, udp_to, tcp_from, tcp_to = row[:7]
    return (
        float(time),
        Endpoint(source, int(udp_from or tcp_from)),
        Endpoint(destination, int(udp_to or tcp_to)),
    )


def _bytes(field: str) -> bytes:
    return bytes.fromhex(field.replace(":", ""))


def _messages(data: bytes) -> Iterator[Message]:
    """The messages in a datagram or in a reassembled piece of a TCP stream, told apart by Content-Length."""
    while data := data.lstrip(b"\r\n"):
        head, gap, rest = data.partition(b"\r\n\r\n")
        message = Message.parse(head + gap)
        length = message.value("Content-Length")
        size = min(int(length), len(rest)) if length.isdigit() else len(rest)
        yield Message(message.first_line, message.headers, rest[:size].decode("utf-8", "backslashreplace"))
        data = rest[size:]
