"""PUBLISH and SUBSCRIBE without a presence server; route[PRESENCE] of the stock configuration."""

from __future__ import annotations

from kemi.request import Request
from kemi.verdict import Reply, Verdict

NO_VOICEMAIL = Reply(404, "No voicemail service")
NOT_HERE = Reply(404, "Not here")


def refuse(request: Request) -> Verdict | None:
    """404 for what only a presence or voicemail server could serve; a SUBSCRIBE to a user goes on to its phones."""
    if request.is_subscribe and request.event == "message-summary":
        return NO_VOICEMAIL
    if request.is_publish or not request.has_uri_user:
        return NOT_HERE
    return None
