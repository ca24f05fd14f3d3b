"""A reply that came in, on its way to whoever sent the request."""

from __future__ import annotations

import KSR

from kemi.message import Message

# A variable of the process, which reply_route in kamailio.cfg reads.
_PLAIN_REPLIES = "$var(kemi_plain_replies)"


def ask_about_every_reply(wanted: bool) -> None:
    """Whether ``ksr_reply_route`` shall be called in this process, or kamailio.cfg do what it would do."""
    KSR.pv.seti(_PLAIN_REPLIES, 0 if wanted else 1)


class IncomingReply(Message):
    """The reply that Kamailio is processing now."""

    __slots__ = ("dropped",)

    def __init__(self) -> None:
        #: True once the reply at hand was dropped.
        self.dropped = False

    @property
    def status(self) -> int:
        """The status code, 100 to 699."""
        return KSR.kx.get_status()

    @property
    def is_success_or_progress(self) -> bool:
        """1xx or 2xx: the replies that may carry SDP to the caller."""
        return self.status < 300

    def is_sane(self, checks: int, uri_checks: int) -> bool:
        """Run the checks of module sanity."""
        return KSR.sanity.sanity_check(checks, uri_checks) > 0

    def drop(self) -> None:
        """Forward it to nobody."""
        self.dropped = True
        KSR.set_drop()
