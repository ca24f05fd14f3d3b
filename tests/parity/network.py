"""A small internet inside one network namespace: every address of it is local, every packet on it is seen."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kemi.deadline import DeadlineError
from kemi.lab.namespace import Namespace, next_prefix

SERVER = "192.0.2.10"
SIP_PORT = 5060
TLS_PORT = 5061
#: Where RTPProxy and rtpengine are told what to relay.
RTPPROXY_CONTROL = ("127.0.0.1", 7722)
RTPENGINE_CONTROL = ("127.0.0.1", 2223)
#: Agents' ports, and the relay's for media: enough for all the sessions that are left to time out.
AGENT_PORTS = range(10000, 30000)
RELAY_PORTS = range(30000, 60001)
MARK_PORT = 9999

PUBLIC = "203.0.113."
OTHER_PUBLIC = "198.51.100."
PRIVATE = "192.168.7."
OTHER_PRIVATE = "10.77.0."
#: Servers at fixed addresses; phones have the numbers from 10 on.
PSTN_GATEWAY = PUBLIC + "2"
VOICEMAIL = PUBLIC + "3"
WORLD = PUBLIC + "4"
_LOCAL = tuple(net + "0/24" for net in (PUBLIC, OTHER_PUBLIC, PRIVATE, OTHER_PRIVATE))

_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_BUFFER = 64 << 20
_SO_RCVBUFFORCE = 33
_UDP = 17


@contextmanager
def network() -> Iterator[Namespace]:
    """A namespace in which the server's address and all addresses of phones are local, and nothing else exists."""
    namespace = Namespace(next_prefix() + "parity")
    try:
        namespace.add()
        namespace.ip(f"addr add {SERVER}/32 dev lo", *(f"route add local {net} dev lo" for net in _LOCAL))
        yield namespace
    finally:
        namespace.remove()


@dataclass(frozen=True)
class Datagram:
    """One UDP datagram as it left its sender."""

    source: tuple[str, int]
    target: tuple[str, int]
    data: bytes


class Capture:
    """All UDP datagrams of a network, in the order in which they were sent.

    A packet is here before the call that sends it returns, so what a server sent before some answer is here as soon as
    that answer is.
    """

    def __init__(self, namespace: Namespace) -> None:
        with namespace.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._socket.bind(("lo", _ETH_P_ALL))

    def close(self) -> None:
        self._socket.close()

    def read(self, seconds: float, awaited: str) -> Datagram:
        """The next datagram. Raises DeadlineError after `seconds`, naming what was `awaited`."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                packet, address = self._socket.recvfrom(65536)
            except TimeoutError:
                break
            if address[2] == _PACKET_OUTGOING and (datagram := _udp(packet)):
                return datagram
        raise DeadlineError(f"waited {seconds:g} s for {awaited}")

    def pending(self) -> list[Datagram]:
        """What has been sent and was not read yet, without waiting."""
        found: list[Datagram] = []
        self._socket.setblocking(False)
        while True:
            try:
                packet, address = self._socket.recvfrom(65536)
            except BlockingIOError:
                return found
            if address[2] == _PACKET_OUTGOING and (datagram := _udp(packet)):
                found.append(datagram)


def _udp(packet: bytes) -> Datagram | None:
    """Read an IPv4 packet; None if it does not hold UDP."""
    if packet[0] >> 4 != 4 or packet[9] != _UDP:
        return None
    start = (packet[0] & 15) * 4
    source = (socket.inet_ntoa(packet[12:16]), int.from_bytes(packet[start : start + 2], "big"))
    target = (socket.inet_ntoa(packet[16:20]), int.from_bytes(packet[start + 2 : start + 4], "big"))
    length = int.from_bytes(packet[start + 4 : start + 6], "big")
    return Datagram(source, target, packet[start + 8 : start + length])
