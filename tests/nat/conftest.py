"""Hosts in the laboratory that send and receive plain UDP, for tests that look at a NAT without SIP."""

import socket
from collections.abc import Callable, Iterator

import pytest

from kemi.lab.network import Host

Endpoint = tuple[str, int]


class Udp:
    """A UDP socket on a host of the laboratory."""

    def __init__(self, host: Host, port: int) -> None:
        with host.namespace.entered():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host.address, port))
        self.endpoint: Endpoint = (host.address, port)

    def send(self, text: str, to: Endpoint) -> None:
        self._socket.sendto(text.encode(), to)

    def receive(self, seconds: float = 2) -> tuple[str, Endpoint] | None:
        """The next datagram and its sender; None when there is none for so long."""
        self._socket.settimeout(seconds)
        try:
            data, (address, port) = self._socket.recvfrom(2048)
        except TimeoutError:
            return None
        return data.decode(), (address, port)

    def close(self) -> None:
        self._socket.close()


OpenUdp = Callable[[Host, int], Udp]


@pytest.fixture
def udp() -> Iterator[OpenUdp]:
    """Opens sockets on hosts: ``udp(host, port)``; they are closed after the test."""
    opened: list[Udp] = []

    def open_udp(host: Host, port: int) -> Udp:
        opened.append(Udp(host, port))
        return opened[-1]

    yield open_udp
    for one in opened:
        one.close()
