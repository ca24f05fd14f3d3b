"""Calls between two clients: the dialog as each side sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kemi.testing.builders import sdp
from kemi.testing.client import Client
from kemi.testing.compose import complete, sequence
from kemi.testing.message import Message
from kemi.testing.uri import address_uri, addresses


@dataclass
class Dialog:
    """One side of an established dialog (RFC 3261, section 12)."""

    client: Client
    call_id: str
    local: str
    remote: str
    target: str
    route: list[str] = field(default_factory=list)
    cseq: int = 1

    @classmethod
    def of_caller(cls, client: Client, invite: Message, answer: Message) -> Dialog:
        return cls(
            client,
            invite.header("Call-ID") or "",
            invite.header("From") or "",
            answer.header("To") or "",
            address_uri(answer.header("Contact") or ""),
            record_route(answer)[::-1],
            sequence(invite),
        )

    @classmethod
    def of_callee(cls, client: Client, invite: Message, answer: Message) -> Dialog:
        return cls(
            client,
            invite.header("Call-ID") or "",
            answer.header("To") or "",
            invite.header("From") or "",
            address_uri(invite.header("Contact") or ""),
            record_route(invite),
        )

    def request(
        self, method: str, *, body: str = "", headers: Mapping[str, str | None] | None = None
    ) -> Message:
        """The next request of the dialog along its route set, or the ACK of the last INVITE."""
        if method != "ACK":
            self.cseq += 1
        message = Message(method, self.target)
        message.headers = [
            ("Via", self.client.via()),
            ("Max-Forwards", "70"),
            *(("Route", hop) for hop in self.route),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq} {method}"),
        ]
        if method in ("INVITE", "UPDATE", "SUBSCRIBE"):
            message.headers.append(("Contact", self.client.contact))
        return complete(message, body, headers)

    def send(
        self, method: str, *, body: str = "", headers: Mapping[str, str | None] | None = None
    ) -> Message:
        """Build :meth:`request` and send it; what was sent."""
        message = self.request(method, body=body, headers=headers)
        self.client.send(message)
        return message


def call(
    caller: Client, callee: Client, uri: str = "", *, invite: Message | None = None
) -> tuple[Dialog, Dialog]:
    """A call from INVITE to ACK, with offer and answer; the dialog of each side."""
    if invite is None:
        invite = caller.invite(uri or callee.uri)
    else:
        caller.send(invite)
    came = callee.expect("INVITE")
    callee.reply(came, 180)
    caller.expect(180)
    sent = callee.reply(came, 200, body=sdp(callee.contact_host))
    answer = caller.expect(200)
    dialog = Dialog.of_caller(caller, invite, answer)
    dialog.send("ACK")
    callee.expect("ACK")
    return dialog, Dialog.of_callee(callee, came, sent)


def hang_up(side: Dialog, other: Dialog) -> tuple[Message, Message]:
    """BYE from `side`, answered by the other; the BYE as it arrived and the 200 as it came back."""
    side.send("BYE")
    bye = other.client.expect("BYE")
    other.client.reply(bye, 200)
    return bye, side.client.expect(200)


def record_route(message: Message) -> list[str]:
    """The recorded route in the order of its headers."""
    return [hop for value in message.header_values("Record-Route") for hop in addresses(value)]
