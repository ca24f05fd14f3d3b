"""The messages that a real Kamailio and the fake are both asked about, and the shape of a scenario.

`OWN` stands for the server's own address, `PORT` for the port the message comes from. A call is a function and its
arguments. Every scenario has its own Call-ID and branches, since the server remembers transactions.
"""

from dataclasses import dataclass, field

Question = tuple[str | int, ...]

INVITE = """INVITE sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bK-NAME;rport
Max-Forwards: 70
From: "Alice" <sip:alice@example.com>;tag=ft1
To: <sip:bob@example.com>
Call-ID: NAME@192.168.1.5
CSeq: 1 INVITE
Contact: <sip:alice@192.168.1.5:5060>
User-Agent: Phone/1
X-Ask: ASK
Content-Length: 0

"""
REPLY = """SIP/2.0 180 Ringing
Via: SIP/2.0/UDP OWN:5060;branch=z9hG4bK-NAME.0
Via: SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bK-NAME;rport=4000;received=203.0.113.9
From: "Alice" <sip:alice@example.com>;tag=ft1
To: <sip:bob@example.com>;tag=tt1
Call-ID: NAME@192.168.1.5
CSeq: 1 INVITE
Contact: <sip:bob@10.0.0.5>
X-Ask: ASK
Content-Length: 0

"""
BYE = """BYE sip:bob@192.168.1.5:5060;alias=203.0.113.9~4000~1 SIP/2.0
Via: SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bK-NAME;rport
Route: <sip:OWN;lr;ftag=ft1;nat=yes>
Max-Forwards: 70
From: "Alice" <sip:alice@example.com>;tag=ft1
To: <sip:bob@example.com>;tag=tt1
Call-ID: NAME@192.168.1.5
CSeq: 2 BYE
X-Ask: ASK
Content-Length: 0

"""
REGISTER = """REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bK-NAME;rport
From: <sip:NAME@example.com>;tag=ft1
To: <sip:NAME@example.com>
Call-ID: NAME@192.168.1.5
CSeq: 1 REGISTER
Contact: <sip:NAME@192.168.1.5:5060>
Expires: 60
X-Ask: ASK
Content-Length: 0

"""
BARE = """OPTIONS sip:OWN SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK-NAME
From: <sip:127.0.0.1>;tag=a
To: <sip:127.0.0.1>
Call-ID: NAME
CSeq: 1 OPTIONS
X-Ask: ASK
Content-Length: 0

"""
SDP = "v=0\no=- 1 1 IN IP4 HOST\ns=-\nc=IN IP4 HOST\nt=0 0\nm=audio 4000 RTP/AVP 8\n"


@dataclass
class Scenario:
    """Exchanges with one server: each a message and the calls made while it is at hand."""

    name: str
    exchanges: list[tuple[str, list[Question]]] = field(default_factory=list)


def with_sdp(message: str, host: str) -> str:
    """The message with an offer whose media address is `host`."""
    body = SDP.replace("HOST", host)
    length = len(body.replace("\n", "\r\n"))
    return (
        message.replace("Content-Length: 0", f"Content-Type: application/sdp\nContent-Length: {length}")
        + body
    )


def from_public(message: str) -> str:
    return message.replace("192.168.1.5", "203.0.113.9")
