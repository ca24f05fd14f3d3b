"""Registrations; route[REGISTRAR] of the stock configuration."""

from __future__ import annotations

from kemi.request import Request
from kemi.verdict import Absorb, Reply, Verdict

ANSWERED = Absorb("registrar answered")
# What sl_reply_error() of the stock file says here.
NOT_STORED = Reply(500, "I'm terribly sorry, server error occurred (1/SL)")


def register(request: Request, options_keepalive: bool) -> Verdict:
    """Store the contacts of a REGISTER; the flags that are set now are stored with them."""
    if request.source_is_nated:
        request.mark_destination_nated()
        if options_keepalive:
            request.mark_for_options_keepalive()
    return ANSWERED if request.save_contacts() else NOT_STORED
