"""The request at hand, and everything Kamailio can be asked to do with it."""

from __future__ import annotations

from typing import Protocol

import KSR

from kemi import own_uri
from kemi.flags import BranchFlag, Flag
from kemi.flat.seldom import seldom
from kemi.message import LOCATION_TABLE, Message, readable, tolerant
from kemi.outcome import GOOD, NO_CREDENTIALS, WRONG, Credentials, Transaction
from kemi.verdict import Reply

SUBSCRIBER_TABLE = "subscriber"
_NATED_SOURCE = int(Flag.NATED_SOURCE)
# A flag of auth_challenge().
QOP_AUTH = 1
# Flags of pv_auth_check().
PASSWORD_IS_HA1 = 1
CHECK_USER = 1
# Flags of save().
SAVE_IN_MEMORY = 1
SAVE_SILENTLY = 2


# auth_db's codes. A guess is: a wrong password, an unknown user, and the right password of another user than From (or
# To) names: were that one not counted, the moment of a ban would tell which guess was right. All others are what honest
# phones cause too: no credentials (-5), a nonce that has expired or was used (-4, -6), or one from before a restart,
# which is an error (-1) to Kamailio.
_CREDENTIALS: dict[object, Credentials] = {1: GOOD, -2: WRONG, -3: WRONG, -8: WRONG}


class NativeMessage(Protocol):
    """What app_python3 hands to a callback: the message, with the functions of the configuration language."""

    @property
    def Method(self) -> str:  # noqa: N802 - its name
        """The method of a request. Raises UnicodeDecodeError where it is not UTF-8."""

    def call_function(self, name: str, /, *arguments: str) -> int: ...


# Letters of Kamailio's is_method_in().
_LETTERS = {
    "ACK": "A",
    "BYE": "B",
    "CANCEL": "C",
    "INVITE": "I",
    "MESSAGE": "M",
    "NOTIFY": "N",
    "OPTIONS": "O",
    "PRACK": "E",
    "PUBLISH": "P",
    "REFER": "F",
    "REGISTER": "R",
    "SUBSCRIBE": "S",
    "UPDATE": "U",
}
#: The methods that have a :class:`Request` of their own.
METHODS = (*_LETTERS, "INFO")
#: The attributes of such a request that are the same for all requests with its method.
FIXED = frozenset(
    {
        "method",
        "is_ack",
        "is_bye",
        "is_cancel",
        "is_invite",
        "is_options",
        "is_publish",
        "is_register",
        "is_subscribe",
        "_letter",
        "_own_places",
    }
)


def method_in_any_case() -> str:
    """The method where its text is none of :data:`METHODS`: of ``invite`` Kamailio says that it is an INVITE."""
    return next((name for name, letter in _LETTERS.items() if KSR.is_method_in(letter)), "")


class Request(Message):
    """The request that Kamailio is processing now. One object serves all requests with one method of a process.

    Made without a method, it serves those with a method of which Kamailio knows nothing.
    """

    __slots__ = {  # noqa: RUF023 - as they are read
        "method": "The method, as Kamailio names it.",
        "is_ack": "An ACK, which nothing may ever answer (RFC 3261, section 17).",
        "is_bye": "",
        "is_cancel": "",
        "is_invite": "",
        "is_options": "",
        "is_publish": "",
        "is_register": "",
        "is_subscribe": "",
        "taken": "True once something has answered or relayed the request: then a failing rule must not answer 500.",
        "follows_route": "True once :meth:`follow_recorded_route` has found the dialog's route.",
        "refusal": "What to answer when no branch could be sent, set by a branch rule that refuses its branch.",
        "_letter": "",
        "_native": "",
        "_nated": "",
        "_own_places": "",
    }

    def __init__(self, method: str = "") -> None:
        self.method = method  # type: ignore[misc]  # a slot: faster to read than a property
        self.is_ack = method == "ACK"
        self.is_bye = method == "BYE"
        self.is_cancel = method == "CANCEL"
        self.is_invite = method == "INVITE"
        self.is_options = method == "OPTIONS"
        self.is_publish = method == "PUBLISH"
        self.is_register = method == "REGISTER"
        self.is_subscribe = method == "SUBSCRIBE"
        self._letter = _LETTERS.get(method, "")
        self._own_places = own_uri.Places()
        self.follows_route = False
        self.begin(None)

    def begin(self, native: NativeMessage | None) -> None:
        """Forget the previous request. The handler calls it once per request."""
        self._native = native
        self.taken = False
        self._nated = False
        if self.is_ack:
            self.follows_route = False

    def begin_unknown(self) -> None:
        """The same for a request with a method of which Kamailio knows nothing."""
        self.method = self.read_method()  # type: ignore[misc]

    # -- what it is ------------------------------------------------------------------------------------------------

    def is_method_in(self, letters: str) -> bool:
        """One of several methods, each a letter of Kamailio's ``is_method_in``: I A C B N O P R S U, and others."""
        return self._letter in letters if self._letter else KSR.is_method_in(letters)

    @property
    def user_agent(self) -> str:
        """The User-Agent header, "" if there is none."""
        return self.raw_user_agent.replace("\0", "�")

    @property
    def raw_user_agent(self) -> str:
        """The same with the NULs that may be in it, which no KSR function would take."""
        try:
            name = KSR.kx.gete_ua()
        except UnicodeDecodeError:
            return readable("ua")
        return name

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
        try:
            uri = KSR.kx.get_ruri() or ""
        except UnicodeDecodeError:
            return own_uri.is_request_uri_own()
        if uri == self._own_places.latest:
            return True
        own = self._own_places.known.get(uri)
        if own is None:
            return self._own_places.find(uri, own_uri.is_request_uri_own)
        if own:
            self._own_places.latest = uri
        return own

    @property
    def is_from_us(self) -> bool:
        """Does the From URI claim one of our domains?"""
        try:
            uri = KSR.kx.get_furi() or ""
        except UnicodeDecodeError:
            return own_uri.is_from_host_own()
        return self._own_places.find(uri, own_uri.is_text_own)

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
        """Is the source above the rate of module pike, or in the table ``ipban``? Counts the request."""
        # One call instead of two; the name is always the same, so Kamailio remembers one.
        return not KSR.pv.is_null("$sht(ipban=>$si)") or KSR.pike.pike_check_req() < 0

    # -- transaction and dialog ------------------------------------------------------------------------------------

    def is_retransmission(self) -> bool:
        """Have we had this very request already, or is another process at it? Repeats the last reply, if any."""
        if KSR.tmx.t_precheck_trans() > 0:
            KSR.tm.t_check_trans()
            return True
        return KSR.tm.t_check_trans() == 0

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
        return _CREDENTIALS.get(KSR.auth_db.auth_check(realm, SUBSCRIBER_TABLE, 1), NO_CREDENTIALS)

    def has_password(self, realm: str, secret: str, *, is_clear: bool) -> bool:
        """Does the digest prove this password, or that of this HA1, and is its user the one in From (REGISTER: To)?"""
        return KSR.auth.pv_auth_check(realm, secret, 0 if is_clear else PASSWORD_IS_HA1, CHECK_USER) > 0

    @property
    def proved_secret(self) -> str:
        """HA1, with WITH_CLEARTEXT the password, as :meth:`check_credentials` read it (WITH_AUTH_CACHE)."""
        return str(KSR.pv.gete("$avp(kemi_secret)"))

    def challenge(self, realm: str, *, qop: bool = True) -> None:
        """Answer 401 (REGISTER) or 407 with a fresh nonce (RFC 3261, sections 22.2 and 22.3).

        ``qop`` offers ``qop=auth``; who does not know it may answer without (RFC 3261, section 22.4).
        """
        KSR.auth.auth_challenge(realm, QOP_AUTH if qop else 0)
        self.taken = True

    @property
    def has_logged_in(self) -> bool:
        """Has anyone logged in from this very address and port lately (table ``authok``)?"""
        return not KSR.pv.is_null("$sht(authok=>$si:$sp)")

    @property
    def noted_login(self) -> str | int | None:
        """What the table ``authok`` says of this source address and port with the user in From."""
        return KSR.pv.get("$sht(authok=>$si:$sp|$fU)")

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
        if KSR.registrar.save(LOCATION_TABLE, 0) > 0:
            self.taken = True
            return True
        return False

    def keep_contacts(self) -> bool:
        """As :meth:`save_contacts`, but content with memory where the database fails (usrloc's db_mode 1)."""
        # usrloc changes memory first. What it could not write then it still holds to be changed, and its timer writes
        # it. The second time it takes the contact for one that this very request has renewed already, and asks the
        # database nothing; for any error but the database's it gives the same answer again.
        save = KSR.registrar.save
        if (
            save(LOCATION_TABLE, SAVE_SILENTLY) > 0
            or save(LOCATION_TABLE, SAVE_SILENTLY | SAVE_IN_MEMORY) > 0
        ):
            self.taken = True
            KSR.registrar.reg_send_reply()
            return True
        return self.save_contacts()

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
        KSR.setflag(_NATED_SOURCE)
        self._nated = True

    @property
    def source_is_nated(self) -> bool:
        """Was the caller found behind a NAT? Kept for the whole transaction, so replies know it too."""
        return self._nated or KSR.isflagset(_NATED_SOURCE)

    def account(self, flag: Flag) -> None:
        """Have module acc log this transaction."""
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
            KSR.tm.t_newtran()
        KSR.sl.send_reply(reply.code, reply.reason)
        self.taken = True

    def reply_as_is(self, reply: Reply) -> None:
        """Send a final answer without creating a transaction for it."""
        KSR.sl.send_reply(reply.code, reply.reason)
        self.taken = True

    @seldom
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

    def relay(self) -> bool:
        """Forward now; False if no branch could be sent."""
        # Set first: a branch callback that raises inside t_relay() must not lead to a second answer.
        self.taken = True
        self.refusal: Reply | None = None
        return KSR.tm.t_relay() >= 0
