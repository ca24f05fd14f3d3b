"""Pieces of which a SIP user agent makes its messages."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from kemi.testing.message import Message


def ack_failure(invite: Message, answer: Message) -> Message:
    """The ACK to a final reply of 300 or above (RFC 3261, section 17.1.1.3)."""
    return same_transaction(invite, "ACK", answer.header("To") or "")


def new_branch() -> str:
    """A Via branch that no other transaction has (RFC 3261, section 8.1.1.7)."""
    return f"z9hG4bK{secrets.token_hex(8)}"


def same_transaction(invite: Message, method: str, to: str) -> Message:
    """An ACK or CANCEL with the Via, and so the transaction, of an INVITE."""
    message = Message(method, invite.uri)
    kept = ("via", "max-forwards", "from", "call-id", "route")
    message.headers = [pair for pair in invite.headers if pair[0].lower() in kept]
    message.headers += [("To", to), ("CSeq", f"{sequence(invite)} {method}")]
    return complete(message, "", None)


def complete(message: Message, body: str, headers: Mapping[str, str | None] | None) -> Message:
    """Add body and lengths, then put `headers` in or in place; a value of None takes the header out."""
    if body:
        message.headers.append(("Content-Type", "application/sdp"))
        message.body = body
    message.headers.append(("Content-Length", str(len(body.encode("utf-8", "surrogateescape")))))
    for name, value in (headers or {}).items():
        if value is None:
            message.headers = message.without_header(name).headers
        else:
            message.headers = replace(message, name, value).headers
    return message


def replace(message: Message, name: str, value: str) -> Message:
    """Like `with_header`, but where the header stands already it keeps its place."""
    if message.header(name) is None:
        return message.with_header(name, value)
    changed = message.without_header(name)
    position = next(index for index, (key, _) in enumerate(message.headers) if key.lower() == name.lower())
    changed.headers.insert(position, (name, value))
    return changed


def sequence(message: Message) -> int:
    """The number in CSeq."""
    return int((message.header("CSeq") or "0").split()[0])
