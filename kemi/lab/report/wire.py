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


def read_sip(capture: Path) -> tuple[Packet, ...]:
    """Every SIP message in a capture, in order of time.

    Raises CaptureError when tshark is missing or cannot read the file.
    """
    packets = []
    for row in _tshark(capture, "sip && !icmp", ("tcp.reassembled.data", "tcp.payload", "udp.payload")):
        time, source, destination = _addressing(row)
        payload = next((field for field in row[7:] if field), "")
        for message in _messages(bytes.fromhex(payload.replace(":", ""))):
            packets.append(Packet(time, source, destination, message))
    return tuple(sorted(packets, key=lambda packet: packet.time))


def read_rtp(capture: Path) -> tuple[Stream, ...]:
    """Every RTP stream in a capture, in order of its first packet.

    Raises CaptureError when tshark is missing or cannot read the file.
    """
    packets: dict[tuple[str, Endpoint, Endpoint], list[_RtpPacket]] = {}
    fields = ("rtp.ssrc", "rtp.p_type", "rtp.timestamp", "rtp.payload")
    for row in _tshark(capture, "rtp && !icmp", fields, "--enable-heuristic", "rtp_udp"):
        time, source, destination = _addressing(row)
        ssrc, payload_type, timestamp, payload = row[7:]
        packet = _RtpPacket(time, int(payload_type), int(timestamp), bytes.fromhex(payload.replace(":", "")))
        packets.setdefault((ssrc, source, destination), []).append(packet)
    streams = [
        Stream(
            *key,
            packets=len(seen),
            first=seen[0].time,
            last=seen[-1].time,
            payload_type=seen[0].payload_type,
            audio=tuple(
                (packet.timestamp, packet.payload)
                for packet in seen
                if packet.payload_type == seen[0].payload_type
            ),
        )
        for key, seen in packets.items()
    ]
    return tuple(sorted(streams, key=lambda stream: stream.first))


class _RtpPacket(NamedTuple):
    time: float
    payload_type: int
    timestamp: int
    payload: bytes


def _tshark(capture: Path, display_filter: str, fields: Sequence[str], *options: str) -> Iterator[list[str]]:
    """Rows of time, addresses, ports (UDP, then TCP) and the given fields."""
    ports = ("udp.srcport", "udp.dstport", "tcp.srcport", "tcp.dstport")
    columns = ("frame.time_epoch", "ip.src", "ip.dst", *ports, *fields)
    command = ["tshark", "-n", *options, "-r", str(capture), "-Y", display_filter, "-T", "fields"]
    command += ["-E", "occurrence=f", *(word for column in columns for word in ("-e", column))]
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


def _messages(data: bytes) -> Iterator[Message]:
    """The messages in a datagram or in a reassembled piece of a TCP stream, told apart by Content-Length."""
    while data := data.lstrip(b"\r\n"):
        head, gap, rest = data.partition(b"\r\n\r\n")
        message = Message.parse(head + gap)
        length = message.value("Content-Length")
        size = min(int(length), len(rest)) if length.isdigit() else len(rest)
        yield Message(message.first_line, message.headers, rest[:size].decode("utf-8", "backslashreplace"))
        data = rest[size:]
