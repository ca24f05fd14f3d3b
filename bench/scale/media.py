"""More calls: what each costs the relay and the server, and whether a packet is lost."""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.arena import Arena
from bench.batch import Inbox, Outbox
from bench.calls import CALLEE_ADDRESS, TwoParties, callee, contact_of, in_dialog, uri_of
from bench.configurations import Setup
from bench.messages import SDP, request, response
from bench.server import Server, cores, running_on
from bench.workload import CALLER_ADDRESS, numbers

CALLS = (1, 10, 100, 250, 500)
_SECONDS = 4.0
_PACKET_SECONDS = 0.02  # G.711 as phones send it
_PAYLOAD = bytes(160)
_PORT = re.compile(rb"\r\nm=audio (\d+) ")
_HOST = re.compile(rb"\r\nc=IN IP4 ([\d.]+)")
_SETTLE_SECONDS = 0.3
_LEARNING = 3  # packets of each party


@dataclass
class Media:
    """So many calls at the same time, sound in both directions."""

    calls: int
    sent: int
    lost: int
    #: CPU milliseconds per second of a call, of the relay.
    relay: float
    #: CPU milliseconds of a call's set-up and end, of the server.
    server: float


class Held(TwoParties):
    """Calls that are set up and held."""

    title = "held calls"
    unit = "call"

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        #: Where the relay takes what the caller and the callee of each call send.
        self.for_caller: list[tuple[str, int]] = []
        self.for_callee: list[tuple[str, int]] = []
        self._accepted: list[bytes] = []
        self._is_ending = False

    def begin(self) -> None:
        if self._is_ending:
            self.phone.send(in_dialog("BYE", self._accepted[self.begun - 1], 2))
            return
        uri = uri_of(callee(self.begun))
        self.phone.send(request("INVITE", uri, next(numbers), user="alice", to=f"<{uri}>", body=SDP))

    def at_caller(self, data: bytes) -> None:
        if data.startswith(b"SIP/2.0 200"):
            self.done += 1
            self.seen["200"] += 1
            if not self._is_ending:
                self.for_caller.append(_media_address(data))
                self._accepted.append(data)
                self.phone.send(in_dialog("ACK", data, 1))

    def at_callee(self, data: bytes) -> None:
        method = data[: data.index(b" ")]
        if method == b"INVITE":
            self.for_callee.append(_media_address(data))
            self.callee.send(response("200 OK", data, contact=contact_of(data), body=SDP))
        elif method == b"BYE":
            self.callee.send(response("200 OK", data))

    def expected(self) -> dict[str, int]:
        return {"200": self.units}

    def end(self) -> None:
        """Hang up all of them."""
        self._is_ending = True
        self.play()


def measure(arena: Arena, base: Setup, numbers_of_calls: Iterable[int] = CALLS) -> list[Media]:
    """Through a relay of their own each."""
    return [_held(arena, base, calls) for calls in numbers_of_calls]


def _held(arena: Arena, base: Setup, calls: int) -> Media:
    with (
        arena.servers(base, ("kemi",), with_relay=True) as servers,
        _media_socket(CALLER_ADDRESS) as caller,
        _media_socket(CALLEE_ADDRESS) as called,
    ):
        server = servers["kemi"]
        (relay,) = arena.relays
        with Held(server) as held:
            held.prepare(calls)
            before = server.cpu_seconds()
            held.play()
            with running_on(cores()[0]):
                relay_before = _all_threads(relay.process.pid)
                sent, received = _talk(caller, held.for_caller, called, held.for_callee)
                relay_spent = _all_threads(relay.process.pid) - relay_before
            held.end()
            spent = server.cpu_seconds() - before
    # By packets, not by the clock: where the phones do not get their core in time, they send later.
    talked = sent * _PACKET_SECONDS / 2
    return Media(calls, sent, sent - received, relay_spent / talked * 1e3, spent / calls * 1e3)


def _talk(
    caller: socket.socket,
    for_caller: list[tuple[str, int]],
    called: socket.socket,
    for_callee: list[tuple[str, int]],
) -> tuple[int, int]:
    """Each party of each call sends a packet every 20 ms; packets sent and received."""
    inboxes = [Inbox(opened, 512) for opened in (caller, called)]
    parties = ((caller, for_caller), (called, for_callee))
    # The relay learns each party's address from its first packet, and has nowhere to send the other's until then.
    for number in range(_LEARNING):
        for opened, addresses in parties:
            outbox = _packets(opened, addresses, number)
            while outbox.left:
                outbox.send(64)
        _drain(inboxes)
    sent = received = 0
    begin = time.perf_counter()
    for number in range(_LEARNING, _LEARNING + int(_SECONDS / _PACKET_SECONDS)):
        for opened, addresses in parties:
            outbox = _packets(opened, addresses, number)
            while outbox.left:
                sent += outbox.send(64)
                received += sum(inbox.receive_now() for inbox in inboxes)
        due = begin + (number + 1 - _LEARNING) * _PACKET_SECONDS
        while time.perf_counter() < due:
            received += sum(inbox.receive_now() for inbox in inboxes)
    return sent, received + _drain(inboxes)


def _drain(inboxes: list[Inbox]) -> int:
    """Take what is still on its way; how many packets."""
    came, end = 0, time.perf_counter() + _SETTLE_SECONDS
    while time.perf_counter() < end:
        came += sum(inbox.receive_now() for inbox in inboxes)
    return came


def _packets(opened: socket.socket, addresses: list[tuple[str, int]], number: int) -> Outbox:
    """One RTP packet of each call (RFC 3550, section 5.1), 20 ms of G.711."""
    headers = (struct.pack("!BBHII", 0x80, 8, number, number * 160, call) for call in range(len(addresses)))
    return Outbox(opened, [header + _PAYLOAD for header in headers], addresses)


def _media_socket(address: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    opened.bind((address, 0))
    return opened


def _media_address(message: bytes) -> tuple[str, int]:
    host, port = _HOST.search(message), _PORT.search(message)
    if not host or not port:
        raise ValueError(f"expected SDP with an address and a port for sound, found {message!r}")
    return host[1].decode(), int(port[1])


def _all_threads(pid: int) -> float:
    """CPU seconds of a process with threads."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
