"""PUBLISH and SUBSCRIBE; route[PRESENCE] of the stock configuration."""

from __future__ import annotations

from kemi.request import Request
from kemi.verdict import Absorb, Reply, Verdict

NO_VOICEMAIL = Reply(404, "No voicemail service")
NOT_HERE = Reply(404, "Not here")
SERVED = Absorb("presence server answered")


def asks_for_messages(request: Request) -> bool:
    """A subscription to message waiting (RFC 3842), which is the voicemail server's business."""
    return request.is_subscribe and request.event == "message-summary"


def serve(request: Request, *, rebuild: bool) -> Verdict:
    """Have module presence answer. With ``rebuild`` it sees the changes that rules have made so far."""
    if rebuild:
        request.rebuild()
    if request.create_transaction():
        request.handle_presence()
    else:
        request.reply_error()
    return SERVED


def refuse(request: Request) -> Verdict | None:
    """404 for what only a presence server could serve; a SUBSCRIBE to a user goes on to its phones."""
    return NOT_HERE if request.is_publish or not request.has_uri_user else None
