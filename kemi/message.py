"""What requests, branches, replies and failures have in common: the message that Kamailio is processing now.

KEMI functions work on the current message of the process, so these objects hold nothing and are made once. This
module, :mod:`kemi.request`, :mod:`kemi.branch`, :mod:`kemi.reply` and :mod:`kemi.tables` are the border: they see KSR's
integers (above 0 yes, below 0 no, 0 stop; all but 0 truthy in Python) and hand on bool, int, str or an enum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import KSR

from kemi.flags import BranchFlag, Flag
from kemi.flat.seldom import seldom
from kemi.outcome import Lookup

# Plain numbers: to find a member of an enum takes longer than to ask for the flag.
_NATED_SOURCE = int(Flag.NATED_SOURCE)
_NATED_DESTINATION = int(BranchFlag.NATED_DESTINATION)

LOCATION_TABLE = "location"
CALLED_USER = "$avp(oexten)"
ALTERNATIVE = "$avp(kemi_alternative)"


@seldom
def tolerant(read: Callable[[], object], name: str) -> str:
    """The text that ``read`` gives, also where a stranger sent bytes that are not UTF-8.

    app_python3 raises UnicodeDecodeError on such a value; then it is read again as the pseudo-variable ``name``.
    """
    try:
        value = read()
    except UnicodeDecodeError:
        return readable(name)
    text = "" if value is None else str(value)
    # A NUL arrives in one piece but no KSR function would take the text back.
    return text.replace("\0", "�") if "\0" in text else text


@seldom
def readable(name: str) -> str:
    """A pseudo-variable whose value is not UTF-8: what is not becomes U+FFFD, and so does a NUL.

    It is read in hexadecimal digits, which are always ASCII. Kamailio's buffer for that holds 64 KiB, hence the cut.
    ``name`` must be a literal: Kamailio remembers each name that it has seen for ever.
    """
    encoded = KSR.pv.gete(f"$({name}{{s.substr,0,30000}}{{s.encode.hexa}})")
    return bytes.fromhex(str(encoded)).decode("utf-8", "replace").replace("\0", "�")


class Message:
    """The message at hand. Properties are pure reads; what changes state in Kamailio is a method with a verb."""

    __slots__ = ()

    @property
    def call_id(self) -> str:
        """The Call-ID, "" if the message has none."""
        return tolerant(KSR.kx.get_callid, "ci")

    @property
    def method(self) -> str:
        """The method of a request; of a reply, the method in its CSeq."""
        return self.read_method()

    def read_method(self) -> str:
        """The same, as it stands in the message."""
        return tolerant(KSR.kx.get_method, "rm")

    @property
    def source_ip(self) -> str:
        """The address the packet came from, whatever its headers claim."""
        return KSR.kx.get_srcip() or ""

    @property
    def source_port(self) -> int:
        """The port the packet came from."""
        return KSR.kx.get_srcport()

    @property
    def source(self) -> str:
        """``address:port`` of the sender, for log lines."""
        return f"{self.source_ip}:{self.source_port}"

    @property
    def called_user(self) -> str:
        """Who was called first, kept by :meth:`remember_called_user` for the whole transaction; "" before."""
        return tolerant(lambda: KSR.pv.gete(CALLED_USER), "avp(oexten)")

    def remember_called_user(self, user: str) -> None:
        """Keep who was called, since lookups replace the request-URI."""
        KSR.pv.sets(CALLED_USER, user)

    def forget_called_user(self) -> None:
        """From here on :attr:`called_user` is "", for the whole transaction."""
        KSR.pv.sets(CALLED_USER, "")

    def look_up(self) -> Lookup:
        """Put the contacts registered for the request-URI into it and into the branches."""
        code = KSR.registrar.lookup(LOCATION_TABLE)
        if code > 0:
            return Lookup.FOUND
        return Lookup.METHOD_NOT_ALLOWED if code == -2 else Lookup.NOT_FOUND

    def remember_alternatives(self, uris: Sequence[str]) -> None:
        """Keep addresses for the whole transaction, to be tried in this order: :meth:`next_alternative`."""
        for uri in reversed(uris):  # an AVP is a stack
            KSR.pv.sets(ALTERNATIVE, uri)

    def next_alternative(self) -> str:
        """Take the first of the addresses that were remembered; "" when none is left."""
        uri = tolerant(lambda: KSR.pv.gete(ALTERNATIVE), "avp(kemi_alternative)")
        if uri:
            KSR.pv.unset(ALTERNATIVE)
        return uri

    def set_patience(self, *, answer: int = 0, first_reply: int = 0) -> None:
        """Milliseconds that the callee has from here on to answer, and to say anything at all.

        Where nothing comes, the request fails with 408. 0 leaves what kamailio.cfg sets: fr_inv_timer, fr_timer.
        """
        KSR.tm.t_set_fr(answer, first_reply)

    @property
    def from_user(self) -> str:
        """The user in the From URI, who claims to call or to register.

        It is a claim: only :meth:`kemi.request.Request.check_credentials` proves it.
        """
        return tolerant(KSR.kx.gete_fuser, "fU")

    @property
    def has_to_tag(self) -> bool:
        """True within a dialog (RFC 3261, section 12)."""
        return KSR.siputils.has_totag() > 0

    @property
    def is_first_hop(self) -> bool:
        """True if no proxy stands between the sender and us: its address is the user agent's (or its NAT's)."""
        return KSR.siputils.is_first_hop() > 0

    def nat_test(self, bits: int) -> bool:
        """True if at least one of the ``nat_uac_test`` checks in ``bits`` finds a sign of NAT."""
        return KSR.nathelper.nat_uac_test(bits) > 0

    def add_contact_alias(self) -> bool:
        """Write the sender's real address into the Contact as ``;alias=ip~port~proto``; False without a Contact."""
        return KSR.nathelper.set_contact_alias() > 0

    @property
    def source_is_nated(self) -> bool:
        """Was the caller found behind a NAT? Kept for the whole transaction, so replies know it too."""
        return KSR.isflagset(_NATED_SOURCE)

    @property
    def destination_is_nated(self) -> bool:
        """Is the destination of this branch behind a NAT? From the location table, or set in dialogs."""
        return KSR.isbflagset(_NATED_DESTINATION)

    @property
    def involves_nat(self) -> bool:
        """Is either side behind a NAT?"""
        return KSR.isflagset(_NATED_SOURCE) or KSR.isbflagset(_NATED_DESTINATION)

    def mark_destination_nated(self) -> None:
        """Remember that this branch (or, at REGISTER, this contact) is behind a NAT."""
        KSR.setbflag(_NATED_DESTINATION)

    @property
    def dialog_is_nated(self) -> bool:
        """Did we write ``;nat=yes`` into this dialog's Record-Route? It comes back in the Route."""
        # check_route_param() compiles a regular expression each time, which costs as much as routing the request does.
        try:
            uri = str(KSR.pv.gete("$route_uri"))
        except UnicodeDecodeError:
            uri = readable("route_uri")
        route, _, parameters = uri.partition(";")
        if KSR.is_myself(route):
            return "nat=yes" in parameters.partition("?")[0].lower()
        # From a strict router (RFC 3261, section 16.4), which has put our Record-Route into the request-URI.
        return KSR.rr.check_route_param("nat=yes") > 0

    def open_no_connection(self) -> None:
        """Never open a TCP connection towards a NAT: it could only fail, and slowly."""
        KSR.set_forward_no_connect()

    def manage_media(self, flags: str) -> int:
        """Let RTPProxy take part in the media of this message; the code of ``rtpproxy_manage``.

        :mod:`kemi.media` turns the code into an outcome: 1 done, -1 nothing to do, -3 no relay answers.
        """
        return KSR.rtpproxy.rtpproxy_manage(flags)  # type: ignore[return-value]  # int() takes as long as asking does

    def manage_media_by_rtpengine(self, flags: str) -> int:
        """The same with rtpengine; -1 says too little there, so an SDP that it leaves alone counts as -3."""
        code = int(KSR.rtpengine.rtpengine_manage(flags))
        return -3 if code < 0 and KSR.textops.has_body_type("application/sdp") > 0 else code

    def record_media(self) -> bool:
        """Have RTPProxy write what this sender says to its recording folder; False if that could not be asked."""
        return KSR.rtpproxy.start_recording() > 0

    def record_media_by_rtpengine(self) -> bool:
        """Have rtpengine record the call, both sides; False if that could not be asked."""
        return KSR.rtpengine.start_recording() > 0

    def arm(self, *, branch: str = "", reply: str = "", failure: str = "") -> None:
        """Name the callbacks of this transaction, each only if no rule has armed another one before."""
        if branch and KSR.tm.t_is_set("branch_route") < 0:
            KSR.tm.t_on_branch(branch)
        if reply and KSR.tm.t_is_set("onreply_route") < 0:
            KSR.tm.t_on_reply(reply)
        if failure and KSR.tm.t_is_set("failure_route") < 0:
            KSR.tm.t_on_failure(failure)
