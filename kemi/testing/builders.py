"""Messages to test rules with: `invite("bob", from_="alice", nated=True)`.

Alice's phone is at 192.0.2.10:5060. With ``nated=True`` it calls itself 192.168.1.10:5060 while its packets come
from 192.0.2.10:40000, as behind the usual home router. The server is 203.0.113.1, its domain example.com.
"""

from __future__ import annotations

import itertools

from kemi.testing.message import Message

DOMAIN = "example.com"
SERVER = "203.0.113.1"
PUBLIC = "192.0.2.10"
PRIVATE = "192.168.1.10"
NAT_PORT = 40000
#: Where whoever is called answers from, and what such a phone calls itself behind a NAT.
CALLEE = "198.51.100.20"
PRIVATE_CALLEE = "192.168.7.20"

_numbers = itertools.count(1)


def request(
    method: str,
    uri: str,
    *,
    from_: str = "alice",
    to: str = "",
    nated: bool = False,
    to_tag: str = "",
    from_tag: str = "from-1",
    call_id: str = "",
    cseq: int = 1,
    branch: str = "",
    body: str = "",
    headers: dict[str, str] | None = None,
) -> Message:
    """A request as a phone sends it; `uri`, `from_` and `to` are users of example.com or whole URIs."""
    number = next(_numbers)
    uri = sip_uri(uri)
    host = PRIVATE if nated else PUBLIC
    sender = sip_uri(from_)
    message = Message(method, uri, source=(PUBLIC, NAT_PORT if nated else 5060), destination=(SERVER, 5060))
    message.headers = [
        ("Via", f"SIP/2.0/UDP {host}:5060;branch={branch or f'z9hG4bK-{number}'};rport"),
        ("Max-Forwards", "70"),
        ("From", f"<{sender}>;tag={from_tag}"),
        ("To", f"<{sip_uri(to) if to else uri}>" + (f";tag={to_tag}" if to_tag else "")),
        ("Call-ID", call_id or f"call-{number}@{host}"),
        ("CSeq", f"{cseq} {method}"),
        ("User-Agent", "Phone/1.0"),
    ]
    if method in ("INVITE", "REGISTER", "SUBSCRIBE", "UPDATE", "OPTIONS", "NOTIFY"):
        user = sender.removeprefix("sip:").partition("@")[0]
        message.headers.append(("Contact", f"<sip:{user}@{host}:5060>"))
    if body:
        message.headers.append(("Content-Type", "application/sdp"))
        message.body = body
    message.headers.extend((headers or {}).items())
    message.headers.append(("Content-Length", str(len(body.encode()))))
    return message


def sip_uri(user: str) -> str:
    """`alice` is short for sip:alice@example.com; a whole URI, or a path of HTTP, stays as it is."""
    return user if ":" in user or user.startswith("/") else f"sip:{user}@{DOMAIN}"


def sdp(address: str = PUBLIC, port: int = 4000) -> str:
    """An offer or answer with one audio stream (RFC 4566)."""
    return (
        f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    )


def invite(
    to: str = "bob",
    *,
    from_: str = "alice",
    nated: bool = False,
    with_sdp: bool = True,
    headers: dict[str, str] | None = None,
) -> Message:
    """An INVITE that opens a dialog, with an offer unless ``with_sdp=False``."""
    body = sdp(PRIVATE if nated else PUBLIC) if with_sdp else ""
    return request("INVITE", to, from_=from_, nated=nated, body=body, headers=headers)


def register(
    user: str = "alice", *, nated: bool = False, expires: int = 3600, headers: dict[str, str] | None = None
) -> Message:
    """A REGISTER of the user's own contact (RFC 3261, section 10)."""
    more = {"Expires": str(expires), **(headers or {})}
    return request("REGISTER", f"sip:{DOMAIN}", from_=user, to=user, nated=nated, headers=more)


def in_dialog(
    method: str,
    uri: str = f"sip:bob@{CALLEE}:5060",
    *,
    route: str = f"<sip:{SERVER};lr;ftag=from-1>",
    nated: bool = False,
    body: str = "",
    from_: str = "alice",
) -> Message:
    """A request within a dialog that recorded us in its route; ``route=""`` leaves the Route header out."""
    headers = {"Route": route} if route else {}
    return request(
        method, uri, from_=from_, to="bob", to_tag="to-1", nated=nated, cseq=2, body=body, headers=headers
    )


def bye(uri: str = f"sip:bob@{CALLEE}:5060", *, route: str = f"<sip:{SERVER};lr;ftag=from-1>") -> Message:
    """A BYE from the caller."""
    return in_dialog("BYE", uri, route=route)


def within(
    invite_: Message, answer: Message, method: str, *, by_callee: bool = False, cseq: int = 2, body: str = ""
) -> Message:
    """A request within the dialog of an INVITE and its 200, both as our server passed them on.

    It goes to the other side's Contact along the route that was recorded (RFC 3261, section 12.2.1.1). Its `source` is
    alice's public address: set another one where that is wrong.
    """
    caller, callee = invite_.header("From") or "", answer.header("To") or ""
    other = invite_ if by_callee else answer
    routes = invite_.header_values("Record-Route")
    message = request(
        method,
        str(other.address("Contact") or ""),
        cseq=cseq,
        call_id=invite_.header("Call-ID") or "",
        body=body,
        headers={"Route": ", ".join(routes if by_callee else reversed(routes))} if routes else None,
    )
    sides = {"From": callee, "To": caller} if by_callee else {"From": caller, "To": callee}
    host, port, _ = message.via
    real = CALLEE if by_callee else invite_.via[0]
    for place, (name, value) in enumerate(message.headers):
        if name in sides:
            message.headers[place] = (name, sides[name])
        if name == "Via":
            message.headers[place] = (name, value.replace(f"{host}:{port}", f"{real}:5060"))
    return message


def cancel(of: Message) -> Message:
    """The CANCEL of an INVITE: same request-URI, Via branch, Call-ID and CSeq number (RFC 3261, section 9.1)."""
    return _like(of, "CANCEL", to_tag=None)


def ack(of: Message, *, to_tag: str = "to-1") -> Message:
    """The ACK of a failed INVITE: same Via branch (RFC 3261, section 17.1.1.3)."""
    return _like(of, "ACK", to_tag=to_tag)


def reply(
    status: int,
    of: Message | None = None,
    *,
    reason: str = "",
    contact: str = f"<sip:bob@{CALLEE}:5060>",
    body: str = "",
    source: tuple[str, int] = (CALLEE, 5060),
) -> Message:
    """The reply of the called phone, as it reaches the server: our Via on top of the caller's."""
    request_ = of or invite()
    answer = Message(
        request_.method, status=status, reason=reason or REASONS.get(status, "Whatever"), body=body
    )
    answer.source, answer.destination = source, (SERVER, 5060)
    answer.headers = [("Via", f"SIP/2.0/UDP {SERVER}:5060;branch=z9hG4bK-proxy.0")]
    for name, value in request_.headers:
        if name in ("Via", "From", "Call-ID", "CSeq", "Record-Route"):
            answer.headers.append((name, value))
        if name == "To":
            answer.headers.append((name, value if ";tag=" in value else f"{value};tag=to-1"))
    if contact and status < 400:
        answer.headers.append(("Contact", contact))
    if body:
        answer.headers.append(("Content-Type", "application/sdp"))
    answer.headers.append(("Content-Length", str(len(body.encode()))))
    return answer


REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    404: "Not Found",
    408: "Request Timeout",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    487: "Request Terminated",
    503: "Service Unavailable",
}


def _like(invite_: Message, method: str, to_tag: str | None) -> Message:
    headers = [
        (name, value) for name, value in invite_.headers if name in ("Via", "Max-Forwards", "From", "Call-ID")
    ]
    to = invite_.header("To") or ""
    number = (invite_.header("CSeq") or "1").partition(" ")[0]
    headers += [("To", f"{to};tag={to_tag}" if to_tag else to), ("CSeq", f"{number} {method}")]
    headers.append(("Content-Length", "0"))
    return Message(
        method, invite_.uri, headers=headers, source=invite_.source, destination=invite_.destination
    )
