"""Registrations; route[REGISTRAR] of the stock configuration."""

from __future__ import annotations

from kemi.request import Request
from kemi.verdict import Absorb, Verdict

ANSWERED = Absorb("registrar answered")


def register(request: Request, options_keepalive: bool, *, memory_will_do: bool = False) -> Verdict:
    """Store the contacts of a REGISTER; the flags that are set now are stored with them.

    With ``memory_will_do`` it is no error that the database could not be written.
    """
    if request.source_is_nated:
        request.mark_destination_nated()
        if options_keepalive:
            request.mark_for_options_keepalive()
    if not (request.keep_contacts() if memory_will_do else request.save_contacts()):
        request.reply_error()
    return ANSWERED
