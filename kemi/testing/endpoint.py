"""One socket that exchanges SIP messages with a server: what is sent, and what must come next."""

from __future__ import annotations

import re
import socket
import time
from types import TracebackType
from typing import Protocol, Self

from kemi.deadline import DeadlineError
from kemi.testing.message import Message

SECONDS = 3.0


class Address(Protocol):
    """Whoever has an address and a port: a KamailioServer, another Client."""

    @property
    def address(self) -> str: ...
    @property
    def port(self) -> int: ...


class Endpoint:
    """A socket whose messages all go to `server`; over TCP one connection, opened at once.

    `name` is what errors call it.
    """

    def __init__(self, server: Address, name: str, address: str, transport: str) -> None:
        self.name = name
        self.transport = transport
        self._server = (server.address, server.port)
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self._socket = socket.socket(socket.AF_INET, kind)
        self._socket.bind((address, 0))
        if transport == "tcp":
            self._socket.settimeout(SECONDS)
            self._socket.connect(self._server)
        self.address, self.port = self._socket.getsockname()
        self._stream = b""
        self._seen: set[bytes] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, message: Message | bytes) -> None:
        data = bytes(message)
        if self.transport == "udp":
            self._socket.sendto(data, self._server)
        else:
            self._socket.sendall(data)

    def receive(self, seconds: float = SECONDS, what: str = "a message") -> Message:
        """The next message, whatever it is. Raises DeadlineError after `seconds`, naming `what`."""
        return Message.parse(self.receive_bytes(seconds, what))

    def receive_bytes(self, seconds: float = SECONDS, what: str = "a message") -> bytes:
        end = time.monotonic() + seconds
        while True:
            self._socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                data = self._read()
            except TimeoutError:
                raise DeadlineError(f"{self.name} waited {seconds:g} s for {what}; nothing came") from None
            if data.strip(b"\r\n\0"):  # else a keepalive
                return data

    def expect(self, wanted: str | int, seconds: float = SECONDS) -> Message:
        """The next message, which must be a request of this method or a reply with this status.

        100 Trying and repetitions of what came before are passed over. Raises AssertionError for any other message.
        """
        end = time.monotonic() + seconds
        while True:
            data = self.receive_bytes(max(end - time.monotonic(), 0.001), f"{wanted}")
            message = Message.parse(data)
            if data in self._seen or (message.status == 100 and wanted != 100):
                continue
            self._seen.add(data)
            found = message.status if message.is_reply else message.method
            assert found == wanted, f"{self.name} expected {wanted}, found {found}:\n{message}"
            return message

    def expect_silence(self, seconds: float = 0.3) -> None:
        """Nothing but repetitions and keepalives may come for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                data = self.receive_bytes(left)
            except DeadlineError:
                return
            assert data in self._seen, (
                f"{self.name} expected silence, found:\n{data.decode(errors='replace')}"
            )

    def unread(self) -> list[Message]:
        """What has come over UDP and was not read yet, without waiting; keepalives and repetitions left out.

        On loopback a datagram arrives in the moment it is sent. So once an answer is here, all that was sent before it
        is here too, and an empty list means that nothing was.
        """
        messages: list[Message] = []
        self._socket.setblocking(False)
        while True:
            try:
                data = self._socket.recv(65535)
            except BlockingIOError:
                return messages
            if data.strip(b"\r\n\0") and data not in self._seen:
                messages.append(Message.parse(data))

    def _read(self) -> bytes:
        if self.transport == "udp":
            return self._socket.recv(65535)
        while (message := self._take_from_stream()) is None:
            data = self._socket.recv(65535)
            if not data:
                raise ConnectionError(f"{self.name}: the server closed the TCP connection")
            self._stream += data
        return message

    def _take_from_stream(self) -> bytes | None:
        """One whole message off the stream (RFC 3261, section 18.3), None if it is not all here yet."""
        self._stream = self._stream.lstrip(b"\r\n")
        head, end, rest = self._stream.partition(b"\r\n\r\n")
        if not end:
            return None
        length = re.search(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)", head)
        size = int(length[1]) if length else 0
        if len(rest) < size:
            return None
        self._stream = rest[size:]
        return head + end + rest[:size]
