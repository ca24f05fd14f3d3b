"""The media relay; route[NATMANAGE] of the stock configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from kemi import log
from kemi.branch import Branch, Failure
from kemi.message import Message
from kemi.reply import IncomingReply
from kemi.request import Request

# nat_uac_test: is the media address in the SDP private?
PRIVATE_SDP = 8

NO_RELAY = -3


@dataclass(frozen=True, slots=True)
class Engine:
    """A kind of media relay, and how it is told whether the address in the SDP is worth anything."""

    manage: Callable[[Message, str], int]
    #: Write what the sender of the message says to a file; False if that could not be asked.
    record: Callable[[Message], bool]
    private_address: str
    public_address: str
    #: Relay every call (WITH_RTPRELAY), not only those with a NAT.
    always: bool = False

    def counted(self, count: Callable[[int], None]) -> Engine:
        """The same engine, with each of its codes told to `count`."""

        def manage(message: Message, flags: str) -> int:
            code = self.manage(message, flags)
            count(code)
            return code

        return replace(self, manage=manage)

    def concerns(self, message: Message) -> bool:
        """Does the media of this message go through the relay?"""
        return self.always or message.involves_nat

    def handle(self, message: Message) -> bool:
        """Bring the relay into the message's SDP, or end its session (BYE, CANCEL, failures).

        False if an SDP was there and no relay answered: then it is unchanged, and the log says so.
        """
        flags = self.private_address if message.nat_test(PRIVATE_SDP) else self.public_address
        if self.manage(message, flags) != NO_RELAY:
            return True
        log.error(f"no media relay answers: call {message.call_id} ({message.method} from {message.source})")
        return False


def rtpproxy(*, always: bool) -> Engine:
    """RTPProxy. c, o replace the addresses in c= and o=; r trusts the address in the SDP until the first packet
    shows the real one, which a private address does not deserve.
    """
    return Engine(Message.manage_media, Message.record_media, "co", "cor", always)


def rtpengine(*, always: bool) -> Engine:
    """Rtpengine, which trusts the address in the SDP unless told to take the packet's source."""
    replace = "replace-origin replace-session-connection"
    return Engine(
        Message.manage_media_by_rtpengine,
        Message.record_media_by_rtpengine,
        f"SIP-source-address {replace}",
        replace,
        always,
    )


def relay_request(request: Request | Branch, engine: Engine) -> bool:
    """Relay the media of a request on its way out; False if an offer or answer in it goes out unrelayed.

    The NAT of the far side is known from the location table at first, later from ``;nat=yes`` in the dialog's route.
    """
    in_dialog = request.has_to_tag
    if in_dialog and request.dialog_is_nated:
        request.mark_destination_nated()
    if not engine.concerns(request):
        return True
    relayed = engine.handle(request)
    if in_dialog:
        if request.destination_is_nated:
            request.open_no_connection()
    elif isinstance(request, Branch):
        request.mark_dialog_nated()
    return relayed


def relay_reply(reply: IncomingReply, engine: Engine) -> bool:
    """Relay the media of a reply, and have the caller's later requests find a callee behind a NAT."""
    if not engine.concerns(reply):
        return True
    relayed = engine.handle(reply)
    if reply.destination_is_nated and reply.is_first_hop:
        reply.add_contact_alias()
    return relayed


def release(failure: Failure, engine: Engine, *, keep_dialogs: bool) -> None:
    """End the relay's session of a call that failed.

    A refused re-INVITE leaves the call as it was (RFC 3261, section 14.1), and with ``keep_dialogs`` its media too. The
    stock configuration ends the session then, and the call goes on in silence.
    """
    in_dialog = failure.has_to_tag
    if in_dialog and keep_dialogs:
        return
    if in_dialog and failure.dialog_is_nated:
        failure.mark_destination_nated()
    if engine.concerns(failure):
        engine.handle(failure)
