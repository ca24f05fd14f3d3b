"""Why Kamailio changes what it changes: a few words for each known change."""

from re import search
from typing import NamedTuple


class Reason(NamedTuple):
    """A known change and what it is for."""

    line: str
    """Header name, ``first line``, or the kind of SDP line (``c=``, ``a=rtcp``)."""
    kind: str
    """``added``, ``removed`` or ``changed``; alternatives with a bar between them."""
    added: str
    """Regular expression found in what was added; empty for anything."""
    label: str
    """For the badge at the arrow; empty for a change that is only a consequence of another."""
    why: str


REASONS = (
    Reason(
        "first line", "changed", ".", "location", "the address of record gives way to the registered contact"
    ),
    Reason("Via", "added", "", "Via", "Kamailio's own Via: replies come back this way (RFC 3261, 16.6)"),
    Reason("Via", "removed", "", "Via", "Kamailio takes its own Via off on the way back (RFC 3261, 16.7)"),
    Reason(
        "Via",
        "changed",
        "",
        "rport",
        "where the request really came from, so that replies pass the NAT (RFC 3581)",
    ),
    Reason(
        "Record-Route",
        "added",
        "nat=yes",
        "Record-Route, nat",
        "later requests come through here too; nat=yes reminds Kamailio to treat them as NATed",
    ),
    Reason(
        "Record-Route",
        "added",
        "",
        "Record-Route",
        "later requests of this call come through here too (RFC 3261, 16.6)",
    ),
    Reason("Route", "removed", "", "Route", "this Route led to Kamailio and has served (RFC 3261, 16.4)"),
    Reason(
        "Contact", "changed", "alias=", "alias", "where the phone really is, for later requests of this call"
    ),
    Reason(
        "Contact", "changed", "received=", "received", "the address that this registration really came from"
    ),
    Reason("Contact", "changed", "expires", "expires", "how long this registration lasts, in seconds"),
    Reason("Max-Forwards", "added|changed", "", "", "one hop less to go (RFC 3261, 16.6)"),
    Reason(
        "Authorization|Proxy-Authorization",
        "removed",
        "",
        "credentials",
        "credentials were for Kamailio only",
    ),
    Reason("Content-Length", "changed", "", "", "the body has another length now"),
    Reason("o=", "changed", "", "", "rewritten along with the media address"),
    Reason(
        "c=",
        "changed",
        "",
        "relay",
        "media goes to the relay instead of an address that only the phone knows",
    ),
    Reason("m=", "changed", "", "", "the port that the relay opened for this stream"),
    Reason("a=rtcp", "added|changed", "", "", "RTCP goes through the relay too"),
    Reason("a=nortpproxy", "added", "", "", "tells the next proxy that a relay is in the path already"),
)


def explain(line: str, kind: str, added: str, removed: str) -> tuple[str, str]:
    """Label and reason of a change; both empty when nothing is known about it."""
    if line == "first line" and "alias=" in removed:
        return (
            "alias used",
            "the alias has said where the phone really is; the phone gets the contact it knows",
        )
    for reason in REASONS:
        if line in reason.line.split("|") and kind in reason.kind.split("|") and search(reason.added, added):
            return reason.label, reason.why
    return "", ""
