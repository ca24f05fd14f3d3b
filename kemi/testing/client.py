"""A SIP user agent for tests that talk to a real server: it sends what it is told, byte for byte if need be.

It decides nothing by itself, keeps no timers and has no thread. A test says what is sent and what must come next.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
import time
from collections.abc import Mapping

from kemi.testing.builders import REASONS, sdp
from kemi.testing.compose import ack_failure, complete, new_branch, same_transaction
from kemi.testing.digest import authorize
from kemi.testing.endpoint import SECONDS, Address, Endpoint
from kemi.testing.message import Message

_numbers = itertools.count(1)


class Client(Endpoint):
    """One socket with a user behind it, whose messages all go to `server`.

    `contact_host` and `contact_port` are what Via and Contact claim: another address than the real one is what a phone
    behind a NAT writes.
    """

    def __init__(
        self,
        server: Address,
        user: str = "alice",
        *,
        address: str = "127.0.0.1",
        transport: str = "udp",
        domain: str = "example.com",
        contact_host: str = "",
        contact_port: int = 0,
    ) -> None:
        super().__init__(server, user, address, transport)
        self.user = user
        self.domain = domain
        self.contact_host = contact_host or self.address
        self.contact_port = contact_port or self.port

    # -- as user agent client

    @property
    def uri(self) -> str:
        return f"sip:{self.user}@{self.domain}"

    @property
    def contact(self) -> str:
        transport = "" if self.transport == "udp" else f";transport={self.transport}"
        return f"<sip:{self.user}@{self.contact_host}:{self.contact_port}{transport}>"

    def via(self, branch: str = "") -> str:
        branch = branch or new_branch()
        sent_by = f"{self.contact_host}:{self.contact_port}"
        return f"SIP/2.0/{self.transport.upper()} {sent_by};branch={branch};rport"

    def request(
        self,
        method: str,
        uri: str,
        *,
        to: str = "",
        body: str = "",
        headers: Mapping[str, str | None] | None = None,
    ) -> Message:
        """A request outside any dialog. `headers` are added or replaced; None takes one out."""
        number = next(_numbers)
        message = Message(method, uri)
        message.headers = [
            ("Via", self.via()),
            ("Max-Forwards", "70"),
            ("From", f"<{self.uri}>;tag={secrets.token_hex(4)}"),
            ("To", f"<{to or (self.uri if method == 'REGISTER' else uri)}>"),
            ("Call-ID", f"{number}-{secrets.token_hex(6)}"),
            ("CSeq", f"1 {method}"),
        ]
        if method in ("INVITE", "REGISTER", "SUBSCRIBE", "OPTIONS", "UPDATE"):
            message.headers.append(("Contact", self.contact))
        return complete(message, body, headers)

    def ask(
        self,
        method: str,
        uri: str,
        *,
        to: str = "",
        body: str = "",
        headers: Mapping[str, str | None] | None = None,
        password: str = "",
    ) -> Message:
        """Send a request and return its final reply. With `password` a challenge is answered once.

        A failed INVITE gets its ACK.
        """
        request = self.request(method, uri, to=to, body=body, headers=headers)
        self.send(request)
        answer = self.final(request)
        if password and answer.status in (401, 407):
            request = authorize(request, answer, self.user, password)
            self.send(request)
            answer = self.final(request)
        return answer

    def final(self, request: Message, seconds: float = SECONDS) -> Message:
        """The final reply to `request`; others, and provisional ones, are passed over. Acknowledges failures."""
        end = time.monotonic() + seconds
        what = f"the final reply to {request.method}"
        while True:
            data = self.receive_bytes(max(end - time.monotonic(), 0.001), what)
            self._seen.add(data)
            message = Message.parse(data)
            if message.status >= 200 and _answers(message, request):
                if request.method == "INVITE" and message.status >= 300:
                    self.send(ack_failure(request, message))
                return message

    def register(
        self, uri: str = "", *, contact: str = "", expires: int = 600, password: str = "", **headers: str
    ) -> Message:
        """REGISTER the client's Contact; the final reply."""
        more = {"Contact": contact or self.contact, "Expires": str(expires), **headers}
        return self.ask("REGISTER", uri or f"sip:{self.domain}", headers=more, password=password)

    def invite(
        self, uri: str, *, body: str | None = None, headers: Mapping[str, str | None] | None = None
    ) -> Message:
        """Send an INVITE, with an offer of this client's address unless `body` says otherwise; what was sent."""
        offer = sdp(self.contact_host) if body is None else body
        request = self.request("INVITE", uri, body=offer, headers=headers)
        self.send(request)
        return request

    def cancel(self, invite: Message) -> Message:
        """Send the CANCEL of an INVITE (RFC 3261, section 9.1)."""
        cancel = same_transaction(invite, "CANCEL", invite.header("To") or "")
        self.send(cancel)
        return cancel

    # -- as user agent server

    def reply(
        self,
        request: Message,
        status: int,
        reason: str = "",
        *,
        body: str = "",
        headers: Mapping[str, str | None] | None = None,
    ) -> Message:
        """Answer a request: Via and Record-Route as they came, a To-tag that belongs to the call; what was sent."""
        answer = Message(request.method, status=status, reason=reason or REASONS.get(status, "Whatever"))
        answer.headers = [pair for pair in request.headers if pair[0].lower() in _COPIED]
        to = request.header("To") or ""
        if status > 100 and ";tag=" not in to:
            to = f"{to};tag={_tag_of(self.user, request)}"
        answer.headers.append(("To", to))
        if request.method in ("INVITE", "SUBSCRIBE", "UPDATE") and 100 < status < 400:
            answer.headers.append(("Contact", self.contact))
        complete(answer, body, headers)
        self.send(answer)
        return answer


_COPIED = ("via", "record-route", "from", "call-id", "cseq")


def _answers(reply: Message, request: Message) -> bool:
    return all(reply.header(name) == request.header(name) for name in ("Call-ID", "CSeq"))


def _tag_of(user: str, request: Message) -> str:
    """The same tag for all replies of one user agent within one call."""
    known = f"{user} {request.header('Call-ID')}".encode("utf-8", "surrogateescape")
    return hashlib.md5(known, usedforsecurity=False).hexdigest()[:8]
