"""What phones behind a NAT send: private addresses in Via, Contact and SDP.

The header order is the same everywhere: what a response repeats (RFC 3261, section 8.2.6.2) stands before Max-Forwards.
"""

from __future__ import annotations

DOMAIN = "example.com"
CALLER = "192.168.1.10:5060"
CALLEE = "192.168.2.20:5060"
CALLEE_TAG = b"callee"

SDP = (
    "v=0\r\no=- 1 1 IN IP4 192.168.1.10\r\ns=-\r\nc=IN IP4 192.168.1.10\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 8 0\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
)


def request(
    method: str,
    uri: str,
    number: int,
    *,
    user: str,
    to: str = "",
    address: str = CALLER,
    headers: str = "",
    body: str = "",
    agent: str = "bench",
    call: str = "",
    cseq: int = 1,
) -> bytes:
    """A request with a transaction of its own; `headers` are whole lines, each with its end."""
    content = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {address};branch=z9hG4bK-{number};rport\r\n"
        f"From: <sip:{user}@{DOMAIN}>;tag=caller\r\n"
        f"To: {to or f'<sip:{user}@{DOMAIN}>'}\r\n"
        f"Call-ID: {call or f'bench-{number}'}\r\n"
        f"CSeq: {cseq} {method}\r\n"
        "Max-Forwards: 70\r\n"
        f"{headers}"
        f"Contact: <sip:{user}@{address}>\r\n"
        f"User-Agent: {agent}\r\n"
        f"{content}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def response(status: str, to_request: bytes, *, contact: str = "", body: str = "") -> bytes:
    """The callee's response to a request as it arrived."""
    start = to_request.index(b"\r\n") + 2
    repeated = to_request[start : to_request.index(b"Max-Forwards:")]
    # In a dialog To has its tag already.
    repeated = repeated.replace(b">\r\nCall-ID:", b">;tag=" + CALLEE_TAG + b"\r\nCall-ID:", 1)
    more = f"Contact: <{contact}>\r\n" if contact else ""
    if body:
        more += "Content-Type: application/sdp\r\n"
    return (
        f"SIP/2.0 {status}\r\n".encode()
        + repeated
        + f"{more}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )


def header(message: bytes, name: bytes) -> bytes:
    """The value of the first header of that name; b"" if there is none."""
    start = message.find(b"\r\n" + name + b": ")
    if start < 0:
        return b""
    start += len(name) + 4
    return message[start : message.index(b"\r\n", start)]
