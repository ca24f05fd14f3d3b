"""KSR.sl: answers."""

from __future__ import annotations

from kemi.testing.fake import NO, YES, Family
from kemi.testing.state import Reply


def send(family: Family, status: int, reason: str, *, stateful: bool) -> int:
    """Record an answer to the request at hand.

    Raises ValueError for a status that SIP does not have, or an answer to an ACK (RFC 3261, section 17).
    """
    now = family.now
    if not 100 <= status <= 699:
        raise ValueError(f"reply {status} {reason!r}: expected a status from 100 to 699")
    if now.message.method == "ACK" or now.message.is_reply:
        kind = "a reply" if now.message.is_reply else "an ACK"
        raise ValueError(f"reply {status} {reason!r}: {kind} is never answered")
    if stateful and now.transaction:
        if now.transaction.status >= 200:
            return NO
        now.transaction.status = status
    family.ksr.replies.append(Reply(status, reason, stateful, tuple(now.reply_headers)))
    return YES


class Sl(Family):
    """Answers outside a transaction, or through it where there is one (send_reply)."""

    def sl_send_reply(self, status: int, reason: str) -> int:
        return send(self, status, reason, stateful=False)

    def send_reply(self, status: int, reason: str) -> int:
        return send(self, status, reason, stateful=self.now.transaction is not None)

    def sl_reply_error(self) -> int:
        return send(self, 500, "Server error occurred (1/SL)", stateful=False)

    def send_reply_error(self) -> int:
        return send(self, 500, "Server error occurred", stateful=self.now.transaction is not None)
