"""What requests, branches, replies and failures have in common: the message that Kamailio is processing now.

KEMI functions work on the current message of the process, so these objects hold nothing and are made once. This
module, :mod:`kemi.request`, :mod:`kemi.branch`, :mod:`kemi.reply` and :mod:`kemi.tables` are the border: they see KSR's
integers (above 0 yes, below 0 no, 0 stop; all but 0 truthy in Python) and hand on bool, int, str or an enum.
"""

from __future__ import annotations

from collections.abc import Callable

import KSR

from kemi.flags import BranchFlag, Flag

CALLED_USER = "$avp(oexten)"


def tolerant(read: Callable[[], object], name: str) -> str:
    """The text that ``read`` gives, also where a stranger sent bytes that are not UTF-8.

    app_python3 raises UnicodeDecodeError on such a value. Then it is read once more as the pseudo-variable ``name``, in
    hexadecimal digits, which are always ASCII, and what is not UTF-8 becomes U+FFFD. Kamailio's buffer for that holds
    64 KiB, hence the cut. ``name`` must be a literal: Kamailio remembers each name that it has seen for ever.
    """
    try:
        value = read()
    except UnicodeDecodeError:
        encoded = KSR.pv.gete(f"$({name}{{s.substr,0,30000}}{{s.encode.hexa}})")
        return bytes.fromhex(str(encoded)).decode("utf-8", "replace").replace("\0", "�")
    text = "" if value is None else str(value)
    # A NUL arrives in one piece but no KSR function would take the text back.
    return text.replace("\0", "�") if "\0" in text else text


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
        return tolerant(lambda: KSR.pv.gete("$rm"), "rm")

    @property
    def source_ip(self) -> str:
        """The address the packet came from, whatever its headers claim."""
        return str(KSR.kx.get_srcip())

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
        return KSR.isflagset(Flag.NATED_SOURCE)

    @property
    def destination_is_nated(self) -> bool:
        """Is the destination of this branch behind a NAT? From the location table, or set in dialogs."""
        return KSR.isbflagset(BranchFlag.NATED_DESTINATION)

    @property
    def involves_nat(self) -> bool:
        """Is either side behind a NAT?"""
        return self.source_is_nated or self.destination_is_nated

    def mark_destination_nated(self) -> None:
        """Remember that this branch (or, at REGISTER, this contact) is behind a NAT."""
        KSR.setbflag(BranchFlag.NATED_DESTINATION)

    @property
    def dialog_is_nated(self) -> bool:
        """Did we write ``;nat=yes`` into this dialog's Record-Route? It comes back in the Route."""
        return KSR.rr.check_route_param("nat=yes") > 0

    def open_no_connection(self) -> None:
        """Never open a TCP connection towards a NAT: it could only fail, and slowly."""
        KSR.set_forward_no_connect()

    def manage_media(self, flags: str) -> int:
        """Let RTPProxy take part in the media of this message; the code of ``rtpproxy_manage``.

        :mod:`kemi.media` turns the code into an outcome: 1 done, -1 nothing to do, -3 no relay answers.
        """
        return int(KSR.rtpproxy.rtpproxy_manage(flags))

    def manage_media_by_rtpengine(self, flags: str) -> int:
        """The same with rtpengine; -1 says too little there, so an SDP that it leaves alone counts as -3."""
        code = int(KSR.rtpengine.rtpengine_manage(flags))
        return -3 if code < 0 and KSR.textops.has_body_type("application/sdp") > 0 else code

    def arm(self, *, branch: str = "", reply: str = "", failure: str = "") -> None:
        """Name the callbacks of this transaction, each only if no rule has armed another one before."""
        if branch and KSR.tm.t_is_set("branch_route") < 0:
            KSR.tm.t_on_branch(branch)
        if reply and KSR.tm.t_is_set("onreply_route") < 0:
            KSR.tm.t_on_reply(reply)
        if failure and KSR.tm.t_is_set("failure_route") < 0:
            KSR.tm.t_on_failure(failure)
