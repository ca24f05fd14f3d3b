"""Many datagrams per system call: sendmmsg(2) and recvmmsg(2), so that the load outruns the server it is sent to."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Sequence

SLOT = 2048  # bytes for one received datagram; more than any answer here
_ADDRESS_BYTES = 16
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


def phone_socket(address: str, server: tuple[str, int], seconds: float) -> socket.socket:
    """A UDP socket at `address` that speaks with `server` only; a blocking read gives up after `seconds`."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    whole = int(seconds)
    opened.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", whole, int((seconds - whole) * 1e6))
    )
    opened.bind((address, 0))
    opened.connect(server)
    return opened


def _socket_address(address: tuple[str, int]) -> ctypes.Array[ctypes.c_char]:
    """The struct sockaddr_in of an address."""
    host, port = address
    packed = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, socket.inet_aton(host))
    return ctypes.create_string_buffer(packed, _ADDRESS_BYTES)


class Outbox:
    """Datagrams ready to be sent, each once and in order: over a connected socket, or each to an address (IPv4)."""

    def __init__(
        self, opened: socket.socket, datagrams: Sequence[bytes], addresses: Sequence[tuple[str, int]] = ()
    ) -> None:
        self._socket = opened
        self._count = len(datagrams)
        self._sent = 0
        # Everything that the kernel is given addresses of has to stay alive.
        self._bytes = [ctypes.c_char_p(datagram) for datagram in datagrams]
        self._vectors = (_Vector * self._count)()
        self._messages = (_Message * self._count)()
        for position, datagram in enumerate(datagrams):
            vector = self._vectors[position]
            vector.base = ctypes.cast(self._bytes[position], ctypes.c_void_p)
            vector.length = len(datagram)
            header = self._messages[position].header
            header.vectors = ctypes.pointer(vector)
            header.vector_count = 1
        self._names = [_socket_address(address) for address in addresses]
        for position, name in enumerate(self._names):
            self._messages[position].header.name = ctypes.cast(name, ctypes.c_void_p)
            self._messages[position].header.name_length = _ADDRESS_BYTES

    @property
    def left(self) -> int:
        return self._count - self._sent

    def send(self, count: int) -> int:
        """Send up to `count` more; how many went out. Raises OSError."""
        start = ctypes.byref(self._messages, self._sent * ctypes.sizeof(_Message))
        sent = int(_LIBC.sendmmsg(self._socket.fileno(), start, min(count, self.left), 0))
        if sent < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._sent += sent
        return sent


class Inbox:
    """Room for what a socket receives."""

    def __init__(self, opened: socket.socket, slots: int) -> None:
        self._socket = opened
        self._slots = slots
        self._buffer = bytearray(slots * SLOT)
        self._vectors = (_Vector * slots)()
        self._messages = (_Message * slots)()
        base = ctypes.addressof((ctypes.c_char * len(self._buffer)).from_buffer(self._buffer))
        for position in range(slots):
            vector = self._vectors[position]
            vector.base = base + position * SLOT
            vector.length = SLOT
            header = self._messages[position].header
            header.vectors = ctypes.pointer(vector)
            header.vector_count = 1

    def receive_now(self) -> int:
        """Take all datagrams that are there; how many, 0 without waiting if there are none."""
        flags = socket.MSG_DONTWAIT
        got = int(_LIBC.recvmmsg(self._socket.fileno(), self._messages, self._slots, flags, None))
        return max(got, 0)

    def status(self, position: int) -> bytes:
        """The status code of the SIP answer in a slot."""
        start = position * SLOT + len("SIP/2.0 ")
        return bytes(self._buffer[start : start + 3])
