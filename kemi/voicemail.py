"""The voicemail server, for who is offline, busy or silent; route[TOVOICEMAIL] of the stock configuration."""

from __future__ import annotations

from kemi import custom, log
from kemi.branch import Failure
from kemi.request import Request
from kemi.verdict import RELAY, Relay, Verdict

BUSY_OR_SILENT = "486|408"


def to_mailbox(request: Request, *, once: bool) -> Verdict | None:
    """An INVITE to whom it was for, a SUBSCRIBE (message waiting, RFC 3842) to whom it names; else no opinion.

    With ``once`` a call that the voicemail server does not take either fails.
    """
    if request.is_invite:
        user = request.called_user
        if once:
            request.forget_called_user()
    elif request.is_subscribe:
        user = request.uri_user
    else:
        return None
    uri = _mailbox(user)
    if not uri:
        return None
    request.set_uri(uri)
    return RELAY


def instead_of_failure(failure: Failure, *, once: bool) -> Relay | None:
    """A call that nobody took goes to the mailbox."""
    if not failure.has_status(BUSY_OR_SILENT):
        return None
    uri = _mailbox(failure.called_user)
    if not uri:
        return None
    if once:
        failure.forget_called_user()
    failure.set_uri(uri)
    return RELAY


def _mailbox(user: str) -> str:
    server = custom.voicemail_server()
    if not server:
        log.warning("WITH_VOICEMAIL is defined, but voicemail.srv_ip is empty: no call goes to voicemail")
    return f"sip:{user}@{server}" if server and user else ""
