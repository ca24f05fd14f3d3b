"""One branch of a request on its way out, and the end of a transaction whose branches all failed."""

from __future__ import annotations

import KSR

from kemi.message import Message
from kemi.request import Request
from kemi.verdict import Reply


class Branch(Message):
    """The copy of the request that goes to one destination; Kamailio's branch_route."""

    __slots__ = ("_request", "dropped")

    def __init__(self) -> None:
        self._request: Request | None = None
        #: True once the branch at hand was refused.
        self.dropped = False

    def begin(self, request: Request) -> None:
        """Forget the previous branch; this one is of ``request``. The handler calls it once per branch."""
        self._request = request
        self.dropped = False

    @property
    def may_offer_media(self) -> bool:
        """INVITE, UPDATE or PRACK: the requests that can carry an offer (RFC 3264)."""
        return KSR.is_method_in("IUE")

    def mark_dialog_nated(self) -> None:
        """Add ``;nat=yes`` to our Record-Route, so that later requests of the dialog know about the NAT."""
        KSR.rr.add_rr_param(";nat=yes")

    def refuse(self, reply: Reply) -> None:
        """Do not send this branch; if no other can be sent, the caller gets ``reply``."""
        # tm would answer 500 by itself, before anyone can say why.
        KSR.tm.t_set_disable_internal_reply(1)
        if self._request is not None:
            self._request.refusal = reply
        self.dropped = True
        KSR.set_drop()


class Failure(Message):
    """All branches have failed and the best failure is about to go to the caller; Kamailio's failure_route."""

    __slots__ = ()

    @property
    def is_cancelled(self) -> bool:
        """Did the caller hang up before an answer?"""
        return KSR.tm.t_is_canceled() > 0

    @property
    def was_silent(self) -> bool:
        """Was there no reply at all in time, not even a provisional one? Then the next hop is down."""
        return KSR.tm.t_branch_timeout() > 0 and KSR.tm.t_branch_replied() < 0

    def has_status(self, pattern: str) -> bool:
        """Does the status of the final reply match the regular expression, such as ``486|408``?"""
        return KSR.tm.t_check_status(pattern) > 0

    def reply(self, reply: Reply) -> None:
        """Answer the caller with this instead."""
        KSR.tm.t_reply(reply.code, reply.reason)

    def set_uri(self, uri: str) -> None:
        """What to try next (serial forking, RFC 3261, section 16.7)."""
        KSR.resetdsturi()
        KSR.seturi(uri)

    def relay(self) -> bool:
        """Send to the request-URI as it is now; False if that failed, and the failure goes to the caller."""
        return KSR.tm.t_relay() >= 0
