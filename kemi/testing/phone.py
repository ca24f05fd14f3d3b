"""A phone on a UDP socket, for tests of a real server: it calls, is called, and keeps the state of its dialogs.

Nothing happens behind the test's back. The phone sends and answers only what the test says, so a test can also do what
no phone would. There are no threads: a wait names what it awaits and ends in an AssertionError after its deadline.
"""

from __future__ import annotations

import itertools
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from kemi.testing.builders import REASONS
from kemi.testing.message import Message
from kemi.testing.uri import address_uri, addresses

PATIENCE = 5.0
KEEPALIVE_SIZE = 4  # an empty datagram of a NAT keepalive: 0 0 0 0, or CRLF CRLF (RFC 5626)

Headers = Sequence[tuple[str, str]]


class Phone:
    """A user agent at ``address`` and a free port, which talks to the server and nobody else.

    ``contact`` is the URI that it calls itself. By default that is where it is; another one, such as
    ``sip:alice@10.0.0.5:5060``, makes it a phone behind a NAT.
    """

    def __init__(
        self,
        server: tuple[str, int],
        user: str,
        domain: str,
        *,
        address: str = "127.0.0.1",
        contact: str = "",
    ) -> None:
        self.server = server
        self.user = user
        self.domain = domain
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 0))
        self.address: str = address
        self.port: int = self._socket.getsockname()[1]
        self.contact = contact or f"sip:{user}@{address}:{self.port}"
        self._cseq = itertools.count(1)

    @property
    def uri(self) -> str:
        """The address of record."""
        return f"sip:{self.user}@{self.domain}"

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- sending

    def send(self, message: Message) -> Message:
        """Send it as it is, to the server; returns it."""
        self._socket.sendto(bytes(message), self.server)
        return message

    def build(
        self,
        method: str,
        uri: str,
        *,
        to: str = "",
        from_: str = "",
        body: str = "",
        headers: Headers = (),
    ) -> Message:
        """A request outside any dialog; ``to`` and ``from_`` are URIs, by default ``uri`` and the phone's own."""
        message = Message(method, uri)
        message.headers = [
            ("Via", self.via()),
            ("Max-Forwards", "70"),
            ("From", f"<{from_ or self.uri}>;tag={secrets.token_hex(4)}"),
            ("To", f"<{to or uri}>"),
            ("Call-ID", secrets.token_hex(8)),
            ("CSeq", f"{next(self._cseq)} {method}"),
            ("Contact", f"<{self.contact}>"),
            *headers,
        ]
        return with_body(message, body)

    def request(
        self,
        method: str,
        uri: str,
        *,
        to: str = "",
        from_: str = "",
        body: str = "",
        headers: Headers = (),
    ) -> Message:
        """Send what :meth:`build` builds; returns it."""
        return self.send(self.build(method, uri, to=to, from_=from_, body=body, headers=headers))

    def register(self, headers: Headers = ()) -> Message:
        """Register the contact, without credentials unless ``headers`` has them; returns the final reply."""
        sent = self.request("REGISTER", f"sip:{self.domain}", to=self.uri, headers=headers)
        return self.final_reply(sent)

    def reply(
        self, request: Message, status: int, *, reason: str = "", body: str = "", headers: Headers = ()
    ) -> Message:
        """Answer a request as RFC 3261, section 8.2.6 says, Record-Route echoed; returns the reply."""
        answer = Message(request.method, status=status, reason=reason or REASONS.get(status, "Whatever"))
        answer.headers = [
            (name, value)
            for name, value in request.headers
            if name in ("Via", "Record-Route", "From", "Call-ID", "CSeq")
        ]
        to = request.header("To") or ""
        answer.headers.append(("To", to if ";tag=" in to or status == 100 else f"{to};tag={self.user}"))
        answer.headers += [("Contact", f"<{self.contact}>"), *headers]
        return self.send(with_body(answer, body))

    def cancel(self, invite: Message) -> Message:
        """Cancel an INVITE of ours (RFC 3261, section 9.1); returns the CANCEL."""
        return self.send(_same_transaction(invite, "CANCEL", invite.header("To") or ""))

    def acknowledge_failure(self, invite: Message, reply: Message) -> Message:
        """ACK a reply of 300 or above (RFC 3261, section 17.1.1.3); returns the ACK."""
        return self.send(_same_transaction(invite, "ACK", reply.header("To") or ""))

    def via(self) -> str:
        """A Via for a new transaction."""
        return f"SIP/2.0/UDP {self.address}:{self.port};branch=z9hG4bK{secrets.token_hex(8)}"

    # -- receiving

    def wait_for(self, what: str, wanted: Callable[[Message], bool], seconds: float = PATIENCE) -> Message:
        """The next message that is ``wanted``; others before it are passed over, keepalives unseen.

        Raises AssertionError after ``seconds``, with the first lines of what came instead.
        """
        deadline = time.monotonic() + seconds
        passed: list[str] = []
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                data, source = self._socket.recvfrom(65535)
            except TimeoutError:
                break
            if len(data) > KEEPALIVE_SIZE:
                message = Message.parse(data, source=source)
                if wanted(message):
                    return message
                passed.append(str(message).partition("\r\n")[0])
        raise AssertionError(
            f"{self.user}: expected {what} within {seconds:g} s, found {'; '.join(passed) or 'nothing'}"
        )

    def wait_for_request(self, method: str, seconds: float = PATIENCE) -> Message:
        """The next request of that method."""
        return self.wait_for(f"a {method}", lambda m: not m.is_reply and m.method == method, seconds)

    def wait_for_reply(self, request: Message, low: int, high: int = 0, seconds: float = PATIENCE) -> Message:
        """The next reply to ``request`` with a status from ``low`` to ``high`` (or just ``low``)."""
        key = (request.header("Call-ID"), request.header("CSeq"))

        def fits(message: Message) -> bool:
            return (message.header("Call-ID"), message.header("CSeq")) == key and (
                low <= message.status <= (high or low)
            )

        what = f"{low}{f' to {high}' if high else ''} to its {request.method}"
        return self.wait_for(what, fits, seconds)

    def final_reply(self, request: Message, seconds: float = PATIENCE) -> Message:
        """The final reply to ``request``."""
        return self.wait_for_reply(request, 200, 699, seconds)

    def pending(self) -> list[Message]:
        """What has arrived and nobody has read, without waiting.

        On loopback a datagram arrives when it is sent: after an answer has come, all that was sent before it is here.
        """
        found: list[Message] = []
        self._socket.setblocking(False)
        while True:
            try:
                data, source = self._socket.recvfrom(65535)
            except BlockingIOError:
                return found
            if len(data) > KEEPALIVE_SIZE:
                found.append(Message.parse(data, source=source))


@dataclass
class Dialog:
    """One side of a dialog (RFC 3261, section 12)."""

    phone: Phone
    call_id: str
    local: str
    remote: str
    target: str
    routes: list[str]
    cseq: int

    @classmethod
    def of_caller(cls, phone: Phone, invite: Message, reply: Message) -> Dialog:
        """The caller's side, from the reply that made the dialog."""
        return cls(
            phone,
            invite.header("Call-ID") or "",
            invite.header("From") or "",
            reply.header("To") or "",
            contact_uri(reply) or invite.uri,
            recorded_route(reply)[::-1],
            int((invite.header("CSeq") or "0").split()[0]),
        )

    @classmethod
    def of_callee(cls, phone: Phone, invite: Message, reply: Message) -> Dialog:
        """The callee's side, from the INVITE that it got and the reply that it sent."""
        return cls(
            phone,
            invite.header("Call-ID") or "",
            reply.header("To") or "",
            invite.header("From") or "",
            contact_uri(invite),
            recorded_route(invite),
            0,
        )

    def request(self, method: str, *, body: str = "", headers: Headers = ()) -> Message:
        """Send a request within the dialog along its route; returns it. An ACK is the one to the last INVITE's 2xx."""
        if method != "ACK":
            self.cseq += 1
        message = Message(method, self.target)
        message.headers = [
            ("Via", self.phone.via()),
            *(("Route", route) for route in self.routes),
            ("Max-Forwards", "70"),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq} {method}"),
            ("Contact", f"<{self.phone.contact}>"),
            *headers,
        ]
        return self.phone.send(with_body(message, body))


def establish(
    caller: Phone, callee: Phone, *, offer: str = "", answer: str = "", uri: str = ""
) -> tuple[Dialog, Dialog]:
    """A call that was answered and acknowledged: the caller's side and the callee's."""
    invite = caller.request("INVITE", uri or callee.uri, body=offer)
    arrived = callee.wait_for_request("INVITE")
    accepted = callee.reply(arrived, 200, body=answer)
    calling = Dialog.of_caller(caller, invite, caller.wait_for_reply(invite, 200))
    calling.request("ACK")
    callee.wait_for_request("ACK")
    return calling, Dialog.of_callee(callee, arrived, accepted)


def with_body(message: Message, body: str) -> Message:
    """Give a message its body, SDP unless it is empty, and the headers that go with it; returns it."""
    if body:
        message.headers.append(("Content-Type", "application/sdp"))
    message.headers.append(("Content-Length", str(len(body.encode()))))
    message.body = body
    return message


def contact_uri(message: Message) -> str:
    """The URI in the first Contact, with its parameters; "" without a Contact."""
    value = message.header("Contact")
    return address_uri(addresses(value)[0]) if value else ""


def recorded_route(message: Message) -> list[str]:
    """The Record-Route headers, topmost first, one route each."""
    return [route for value in message.header_values("Record-Route") for route in addresses(value)]


def _same_transaction(invite: Message, method: str, to: str) -> Message:
    message = Message(method, invite.uri)
    message.headers = [
        (name, value) for name, value in invite.headers if name in ("Via", "Max-Forwards", "From", "Call-ID")
    ]
    number = (invite.header("CSeq") or "").split()[0]
    message.headers += [("To", to), ("CSeq", f"{number} {method}")]
    return with_body(message, "")
