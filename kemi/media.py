"""The media relay; route[NATMANAGE] of the stock configuration."""

from __future__ import annotations

from kemi import log
from kemi.branch import Branch, Failure
from kemi.message import Message
from kemi.reply import IncomingReply
from kemi.request import Request

# nat_uac_test: is the media address in the SDP private?
PRIVATE_SDP = 8

# Flags of rtpproxy_manage: c, o replace the addresses in c= and o=; r trusts the address in the SDP until the first
# packet shows the real one. A private address is worth nothing to the relay, so there r is left out.
PRIVATE_ADDRESS = "co"
PUBLIC_ADDRESS = "cor"

NO_RELAY = -3


def relay_request(request: Request | Branch) -> bool:
    """Relay the media of a request on its way out; False if an offer or answer in it goes out unrelayed.

    The NAT of the far side is known from the location table at first, later from ``;nat=yes`` in the dialog's route.
    """
    in_dialog = request.has_to_tag
    if in_dialog and request.dialog_is_nated:
        request.mark_destination_nated()
    if not request.involves_nat:
        return True
    relayed = _manage(request)
    if isinstance(request, Branch) and not in_dialog:
        request.mark_dialog_nated()
    if in_dialog and request.destination_is_nated:
        request.open_no_connection()
    return relayed


def relay_reply(reply: IncomingReply) -> bool:
    """Relay the media of a reply, and have the caller's later requests find a callee behind a NAT."""
    if not reply.involves_nat:
        return True
    relayed = _manage(reply)
    if reply.destination_is_nated and reply.is_first_hop:
        reply.add_contact_alias()
    return relayed


def release(failure: Failure, keep_dialogs: bool) -> None:
    """End the relay's session of a call that failed.

    A refused re-INVITE leaves the call as it was (RFC 3261, section 14.1), and with ``keep_dialogs`` its media too. The
    stock configuration ends the session then, and the call goes on in silence.
    """
    in_dialog = failure.has_to_tag
    if in_dialog and keep_dialogs:
        return
    if in_dialog and failure.dialog_is_nated:
        failure.mark_destination_nated()
    if failure.involves_nat:
        _manage(failure)


def _manage(message: Message) -> bool:
    flags = PRIVATE_ADDRESS if message.nat_test(PRIVATE_SDP) else PUBLIC_ADDRESS
    if message.manage_media(flags) != NO_RELAY:
        return True
    log.error(f"no media relay answers: call {message.call_id} ({message.method} from {message.source})")
    return False
