"""The request at hand, and everything Kamailio can be asked to do with it."""

from __future__ import annotations

from typing import Protocol

import KSR

from kemi import own_uri
from kemi.flags import BranchFlag, Flag
from kemi.message import Message, tolerant
from kemi.outcome import Credentials, Lookup, Transaction
from kemi.verdict import Reply

LOCATION_TABLE = "location"
SUBSCRIBER_TABLE = "subscriber"
# A flag of auth_challenge().
QOP_AUTH = 1


# auth_db's codes for a guess: wrong password, unknown user, and the right password of another user than From (or To)
# names: were that one not counted, the moment of a ban would tell which guess was right. All others are what honest
# phones cause too: no credentials (-5), a nonce that has expired or was used (-4, -6), or one from before a restart,
# which is an error (-1) to Kamailio.
_WRONG_CODES = (-2, -3, -8)


class NativeMessage(Protocol):
    """What app_python3 hands to a callback: the message, with the functions of the configuration language."""

    def call_function(self, name: str, /, *arguments: str) -> int: ...


class Request(Message):
    """The request that Kamailio is processing now. One object serves all requests of a process."""

    __slots__ = ("_native", "follows_route", "refusal", "taken")

    def __init__(self) -> None:
        self.begin(None)

    def begin(self, native: NativeMessage | None) -> None:
        """Forget the previous request. The handler calls it once per request."""
        self._native = native
        #: True once something has answered or relayed the request: from then on a failing rule must not answer 500.
        self.taken = False
        #: True once :meth:`follow_recorded_route` has found the dialog's route.
        self.follows_route = False
        #: What to answer when no branch could be sent, set by a branch rule that refuses its branch.
        self.refusal: Reply | None = None

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def is_ack(self) -> bool:
        """An ACK, which nothing may ever answer (RFC 3261, section 17)."""
        return KSR.is_ACK()

    @property
    def is_bye(self) -> bool:
        return KSR.is_BYE()

    @property
    def is_cancel(self) -> bool:
        return KSR.is_CANCEL()

    @property
    def is_invite(self) -> bool:
        return KSR.is_INVITE()

    @property
    def is_options(self) -> bool:
        return KSR.is_OPTIONS()

    @property
    def is_publish(self) -> bool:
        return KSR.is_PUBLISH()

    @property
    def is_register(self) -> bool:
        return KSR.is_REGISTER()

    @property
    def is_subscribe(self) -> bool:
        return KSR.is_SUBSCRIBE()

    def is_method_in(self, letters: str) -> bool:
        """One of several methods, each a letter of Kamailio's ``is_method_in``: I A C B N O P R S U, and others."""
        return KSR.is_method_in(letters)

    @property
    def user_agent(self) -> str:
        """The User-Agent header, "" if there is none."""
        return tolerant(KSR.kx.gete_ua, "ua")

    @property
    def uri(self) -> str:
        """The request-URI as it stands now."""
        return tolerant(KSR.kx.get_ruri, "ru")

    @property
    def uri_user(self) -> str:
        """The user in the request-URI, who is called; "" if it names none."""
        return tolerant(KSR.kx.gete_ruser, "rU")

    @property
    def has_readable_uri(self) -> bool:
        """Is the request-URI one that Kamailio can read: ``sip:``, ``sips:``, ``tel:`` and a few others?"""
        return not KSR.pv.is_null("$rz")

    @property
    def has_uri_user(self) -> bool:
        """False for ``sip:example.org``: a request to the server itself, or an address too short to route."""
        return KSR.corex.has_ruri_user() > 0

    @property
    def from_user(self) -> str:
        """The user in the From URI, who claims to call or to register.

        It is a claim: only :meth:`check_credentials` proves it.
        """
        return tolerant(KSR.kx.gete_fuser, "fU")

    @property
    def from_domain(self) -> str:
        """The host of the From URI: the digest realm, as in the stock configuration."""
        return tolerant(KSR.kx.gete_fhost, "fd")

    @property
    def original_uri(self) -> str:
        """The request-URI as it came in."""
        return tolerant(KSR.kx.get_ouri, "ou")

    @property
    def event(self) -> str:
        """The Event header of SUBSCRIBE and PUBLISH (RFC 6665), "" if there is none."""
        return tolerant(lambda: KSR.hdr.gete("Event"), "hdr(Event)")

    @property
    def has_other_body_than_sdp(self) -> bool:
        """Is the body, by its Content-Type, one that cannot hold SDP (RFC 4566), such as the text of a MESSAGE?"""
        kind = tolerant(lambda: KSR.pv.gete("$cT"), "cT").lower()
        return bool(kind) and not kind.startswith(("application/sdp", "multipart/"))

    # -- whose it is -----------------------------------------------------------------------------------------------

    @property
    def is_for_us(self) -> bool:
        """Is the request-URI one of our addresses or domains, at one of our ports?"""
        return own_uri.is_request_uri_own()

    @property
    def is_from_us(self) -> bool:
        """Does the From URI claim one of our domains?"""
        return own_uri.is_from_uri_own()

    @property
    def is_looped(self) -> bool:
        """Did we send this packet ourselves?"""
        return KSR.is_myself_srcip()

    @property
    def is_from_trusted_address(self) -> bool:
        """Is the source in group 1 of module permissions' table address, which needs no password?"""
        return KSR.permissions.allow_source_address(1) > 0

    # -- checks of the message -------------------------------------------------------------------------------------

    def answer_symmetrically(self) -> None:
        """Reply to where the request came from (RFC 3581), and open no new connection to do so."""
        KSR.set_reply_no_connect()
        KSR.force_rport()

    def spend_hop(self, limit: int) -> bool:
        """Count Max-Forwards down, or add it with ``limit``; False when none is left (RFC 3261, section 16.3)."""
        return KSR.maxfwd.process_maxfwd(limit) > 0

    def is_sane(self, checks: int, uri_checks: int) -> bool:
        """Run the checks of module sanity. When it fails, sanity has answered 400 (or more) itself."""
        return KSR.sanity.sanity_check(checks, uri_checks) > 0

    def floods(self) -> bool:
        """Is the source above the rate of module pike?"""
        return KSR.pike.pike_check_req() < 0

    # -- transaction and dialog ------------------------------------------------------------------------------------

    def is_being_processed(self) -> bool:
        """Is another process handling this very request at the moment? True for a fast retransmission."""
        return KSR.tmx.t_precheck_trans() > 0

    def match_transaction(self) -> Transaction:
        """Find the transaction: of a retransmission, of the INVITE that a CANCEL is for, or of an ACK to a failure."""
        code = KSR.tm.t_check_trans()
        if code > 0:
            return Transaction.MATCHED
        return Transaction.RETRANSMISSION if code == 0 else Transaction.NONE

    def create_transaction(self) -> bool:
        """Make replies from here on stateful; False if that failed."""
        return KSR.tm.t_newtran() > 0

    def follow_recorded_route(self) -> bool:
        """Take the route that the dialog recorded (RFC 3261, section 16.4); False if it does not lead through us."""
        self.follows_route = KSR.rr.loose_route() > 0
        return self.follows_route

    def record_route(self) -> None:
        """Stay in the path of the dialog (RFC 3261, section 16.6, step 4)."""
        KSR.rr.record_route()

    def remove_routes(self) -> None:
        """Drop preloaded Route headers: an initial request goes where we say, not where its sender wants."""
        KSR.hdr.remove("Route")

    @property
    def has_destination(self) -> bool:
        """Has a next hop been chosen beside the request-URI (``$du``)?"""
        return KSR.isdsturiset()

    def follow_contact_alias(self) -> bool:
        """Send to the address in the request-URI's ``;alias=``, and take the parameter off; False without one."""
        return KSR.nathelper.handle_ruri_alias() > 0

    # -- authentication --------------------------------------------------------------------------------------------

    def check_credentials(self, realm: str) -> Credentials:
        """Check the digest against the subscriber table; the user must also be the one in From (To for REGISTER)."""
        code = KSR.auth_db.auth_check(realm, SUBSCRIBER_TABLE, 1)
        if code > 0:
            return Credentials.GOOD
        return Credentials.WRONG if int(code) in _WRONG_CODES else Credentials.NONE

    def challenge(self, realm: str, *, qop: bool = True) -> None:
        """Answer 401 (REGISTER) or 407 with a fresh nonce (RFC 3261, sections 22.2 and 22.3).

        ``qop`` offers ``qop=auth``; who does not know it may answer without (RFC 3261, section 22.4).
        """
        KSR.auth.auth_challenge(realm, QOP_AUTH if qop else 0)
        self.taken = True

    def remove_credentials(self) -> None:
        """Take our Proxy-Authorization off before anyone else sees it."""
        KSR.auth.consume_credentials()

    # -- registrar and location ------------------------------------------------------------------------------------

    def keep_source_for_contact(self) -> None:
        """Have the registrar store the source address as ``received`` beside the Contact."""
        KSR.nathelper.fix_nated_register()

    def mark_for_options_keepalive(self) -> None:
        """Ping this contact with OPTIONS rather than with an empty datagram."""
        KSR.setbflag(BranchFlag.OPTIONS_KEEPALIVE)

    def save_contacts(self) -> bool:
        """Carry out a REGISTER and answer it; False if it could not (RFC 3261, section 10.3)."""
        self._forget_error()
        saved = KSR.registrar.save(LOCATION_TABLE, 0) > 0
        self.taken = self.taken or saved
        return saved

    def look_up(self) -> Lookup:
        """Put the registered contacts into the request-URI and the branches."""
        code = KSR.registrar.lookup(LOCATION_TABLE)
        if code > 0:
            return Lookup.FOUND
        return Lookup.METHOD_NOT_ALLOWED if code == -2 else Lookup.NOT_FOUND

    def look_up_speed_dial(self) -> bool:
        """Replace the user's short number by what table speed_dial says; False if it says nothing."""
        return KSR.speeddial.lookup("speed_dial") > 0

    def look_up_alias(self) -> bool:
        """Replace an alias by what table dbaliases says; False if it is none."""
        return KSR.alias_db.lookup("dbaliases") > 0

    # -- presence --------------------------------------------------------------------------------------------------

    def rebuild(self) -> bool:
        """Make the message as changed so far the one that all functions see."""
        return KSR.textopsx.msg_apply_changes() > 0

    def handle_presence(self) -> None:
        """Have module presence carry out a PUBLISH or SUBSCRIBE and answer it, within a transaction."""
        if self.is_publish:
            KSR.presence.handle_publish()
        else:
            KSR.presence.handle_subscribe()
        KSR.tm.t_release()
        self.taken = True

    # -- statistics of dialogs (module dlgs) -----------------------------------------------------------------------

    def count_dialog(self) -> None:
        """A call begins."""
        caller = tolerant(KSR.kx.get_furi, "fu")
        callee = tolerant(KSR.kx.get_turi, "tu")
        KSR.dlgs.dlgs_init(caller, callee, f"srcip={self.source_ip}")

    def update_dialog(self) -> None:
        """A request of a call: the statistics follow its state."""
        KSR.dlgs.dlgs_update()

    # -- flags and headers -----------------------------------------------------------------------------------------

    def mark_source_nated(self) -> None:
        """Remember for the whole transaction that the caller is behind a NAT."""
        KSR.setflag(Flag.NATED_SOURCE)

    def account(self, *flags: Flag) -> None:
        """Have module acc log this transaction."""
        for flag in flags:
            KSR.setflag(flag)

    def set_uri(self, uri: str) -> None:
        """Send the request to another address."""
        KSR.seturi(uri)

    def append_header(self, name: str, value: str) -> None:
        """Add a header to the request as it is forwarded."""
        KSR.hdr.append(f"{name}: {value}\r\n")

    # -- ends ------------------------------------------------------------------------------------------------------

    def reply(self, reply: Reply) -> None:
        """Send a final answer, within the transaction if there is one."""
        if reply.stateful:
            self.create_transaction()
        self.reply_as_is(reply)

    def reply_as_is(self, reply: Reply) -> None:
        """Send a final answer without creating a transaction for it."""
        KSR.sl.send_reply(reply.code, reply.reason)
        self.taken = True

    def reply_error(self) -> None:
        """Answer with the code of the last error inside Kamailio, 500 if there was none.

        From Kamailio 5.8 on nothing is sent if a final answer was sent already.
        """
        # The configuration language's function, if there is a server: before each, and nowhere else, Kamailio puts the
        # last error where this one looks for it. KSR.sl.sl_reply_error() knows no error.
        if self._native is None:
            KSR.sl.sl_reply_error()
        else:
            # As the stock file of this version.
            is_new = hasattr(KSR.sl, "send_reply_error")
            self._native.call_function("send_reply_error" if is_new else "sl_reply_error")
        self.taken = True

    def _forget_error(self) -> None:
        """Let :meth:`reply_error` know only of errors from here on, and not of a URI that some rule could not read."""
        if self._native is not None:
            # Any function of the configuration language will do: Kamailio forgets the last error before each.
            self._native.call_function("has_totag")

    def relay(self) -> bool:
        """Forward now; False if no branch could be sent."""
        # Set first: a branch callback that raises inside t_relay() must not lead to a second answer.
        self.taken = True
        return KSR.tm.t_relay() >= 0
