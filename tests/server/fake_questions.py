"""What a real Kamailio and the fake are both asked: exchanges of a message and the calls made while it is at hand.

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


METHODS = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "MESSAGE",
    "OPTIONS",
    "SUBSCRIBE",
    "PUBLISH",
    "NOTIFY",
    "UPDATE",
    "PRACK",
    "REFER",
    "INFO",
]
LETTERS = "IABCRMOSPNUEFKGTVD"


def method_questions() -> list[Scenario]:
    asked: list[Question] = [(f"is_{method}",) for method in METHODS]
    asked += [("is_method", method) for method in (*METHODS, "INVITE|ACK", "invite", "BYE|OPTIONS")]
    asked += [("is_method_in", letter) for letter in (*LETTERS, "IS", "i", "AB", "")]
    asked += [("kx.get_method",), ("pv.get", "$rm"), ("siputils.is_request",), ("siputils.is_reply",)]
    return [Scenario(f"method-{name}", [(INVITE.replace("INVITE", name), asked)]) for name in METHODS] + [
        Scenario("method-of-a-reply", [(REPLY, asked)])
    ]


NAT_BITS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 19, 63)


def nat_questions() -> list[Scenario]:
    public = from_public(INVITE)
    no_contact = public.replace("Contact: <sip:alice@203.0.113.9:5060>\n", "")
    star = public.replace("Contact: <sip:alice@203.0.113.9:5060>", "Contact: *")
    named = public.replace("<sip:alice@203.0.113.9:5060>", "<sip:alice@phone.example>")
    messages = {
        "behind-nat": (INVITE, "203.0.113.9:4000"),
        "behind-nat-port-kept": (INVITE, "203.0.113.9:5060"),
        "in-our-private-net": (INVITE, "192.168.1.5:5060"),
        "public": (public, "203.0.113.9:5060"),
        "public-other-port": (public, "203.0.113.9:5061"),
        "from-100-64": (public, "100.64.0.1:5060"),
        "from-192-0-0": (public, "192.0.0.9:5060"),
        "from-192-0-2": (public, "192.0.2.9:5060"),
        "from-172-31": (public, "172.31.0.1:5060"),
        "from-172-32": (public, "172.32.0.1:5060"),
        "without-contact": (no_contact, "203.0.113.9:5060"),
        "contact-star": (star, "203.0.113.9:5060"),
        "contact-named": (named, "203.0.113.9:5060"),
        "contact-unbracketed": (
            public.replace("<sip:alice@203.0.113.9:5060>", "sip:alice@10.1.1.1"),
            "203.0.113.9:5060",
        ),
        "via-named": (public.replace("UDP 203.0.113.9:5060", "UDP phone.example"), "203.0.113.9:5060"),
        "sdp-private": (with_sdp(public, "192.168.1.5"), "203.0.113.9:5060"),
        "sdp-public": (with_sdp(public, "203.0.113.9"), "203.0.113.9:5060"),
        "sdp-elsewhere": (with_sdp(public, "198.51.100.1"), "203.0.113.9:5060"),
        "sdp-on-hold": (with_sdp(public, "0.0.0.0"), "203.0.113.9:5060"),
        "reply": (REPLY, "10.0.0.5:5060"),
    }
    tests: list[Question] = [("nathelper.nat_uac_test", bits) for bits in NAT_BITS]
    return [
        Scenario(f"nat-{name}", [(message, [("corex.set_source_address", f"udp:{source}"), *tests])])
        for name, (message, source) in messages.items()
    ]


ALIAS_QUESTIONS: list[Question] = [
    ("corex.set_source_address", "udp:203.0.113.9:4000"),
    ("nathelper.set_contact_alias",),
    ("pv.get", "$ct"),
    ("nathelper.set_contact_alias",),
    ("textopsx.msg_apply_changes",),
    ("pv.get", "$ct"),
    ("nathelper.set_contact_alias",),
]
DIALOG_QUESTIONS: list[Question] = [
    ("siputils.has_totag",),
    ("rr.check_route_param", "nat=yes"),
    ("rr.loose_route",),
    ("rr.check_route_param", "nat=yes"),
    ("rr.check_route_param", "nat=no"),
    ("rr.is_direction", "downstream"),
    ("rr.is_direction", "upstream"),
    ("pv.get", "$du"),
    ("isdsturiset",),
    ("pv.get", "$ru"),
    ("hdr.get", "Route"),
    ("nathelper.handle_ruri_alias",),
    ("pv.get", "$du"),
    ("pv.get", "$ru"),
    ("nathelper.handle_ruri_alias",),
    ("tm.t_check_trans",),
    ("rr.add_rr_param", ";nat=yes"),
    ("rr.record_route",),
    ("rr.record_route",),
    ("hdr.get", "Record-Route"),
    ("textopsx.msg_apply_changes",),
    ("is_myself_ruri",),
]
REPLY_QUESTIONS: list[Question] = [
    *[(name,) for name in ("siputils.has_totag", "siputils.is_first_hop", "kx.get_status", "kx.gets_status")],
    *[("pv.get", name) for name in ("$rs", "$rr", "$rm", "$ru", "$ct", "$ci", "$fu", "$tt", "$ua", "$si")],
    *[(f"is_myself_{what}",) for what in ("srcip", "furi", "turi", "ruri")],
    ("tm.t_check_trans",),
    ("nathelper.set_contact_alias",),
    ("hdr.is_present", "Record-Route"),
    ("set_drop",),
]


def dialog_questions() -> list[Scenario]:
    route = "Route: <sip:OWN;lr;ftag=ft1;nat=yes>"
    routes = {
        "own": route,
        "own-upstream": route.replace("ft1", "tt1"),
        "foreign": route.replace("OWN", "198.51.100.1"),
        "own-then-foreign": f"{route}\nRoute: <sip:198.51.100.7:5070;lr>",
        "own-and-foreign-in-one": f"{route}, <sip:198.51.100.7:5070;lr>",
        "none": "X-No: route",
    }
    recorded = {
        "none": "",
        "own": "Record-Route: <sip:OWN;lr>\n",
        "foreign": "Record-Route: <sip:198.51.100.1;lr>\n",
        "name": "Record-Route: <sip:example.com;lr>\n",
        "looped": "Record-Route: <sip:127.0.0.1:PORT;lr>\n",
    }
    aliases = ("203.0.113.9~4000~2", "203.0.113.9~4000~5", "203.0.113.9~4000", "203.0.113.9~4000~9")
    alias_calls: list[Question] = [("nathelper.handle_ruri_alias",), ("pv.get", "$du"), ("pv.get", "$ru")]
    return [
        *(
            Scenario(f"route-{name}", [(BYE.replace(route, line), DIALOG_QUESTIONS)])
            for name, line in routes.items()
        ),
        *(
            Scenario(f"recorded-{name}", [(REPLY.replace("X-Ask", f"{line}X-Ask"), REPLY_QUESTIONS)])
            for name, line in recorded.items()
        ),
        *(
            Scenario(
                f"alias-{alias.replace('~', '-')}", [(BYE.replace("203.0.113.9~4000~1", alias), alias_calls)]
            )
            for alias in aliases
        ),
        Scenario("contact-alias", [(INVITE, ALIAS_QUESTIONS)]),
        Scenario("contact-alias-of-reply", [(REPLY, ALIAS_QUESTIONS)]),
        Scenario("contact-alias-without-contact", [(BYE, ALIAS_QUESTIONS)]),
        Scenario(
            "two-vias",
            [(INVITE.replace("Max-F", "Via: SIP/2.0/UDP 10.9.9.9\nMax-F"), [("siputils.is_first_hop",)])],
        ),
    ]


VARIABLES = [
    "$ru",
    "$rU",
    "$rd",
    "$rp",
    "$rP",
    "$ou",
    "$fu",
    "$fU",
    "$fd",
    "$ft",
    "$tu",
    "$tU",
    "$td",
    "$tt",
    "$ct",
    "$cT",
    "$ci",
    "$cs",
    "$rm",
    "$rs",
    "$rr",
    "$rb",
    "$ml",
    "$si",
    "$sp",
    "$su",
    "$Ri",
    "$Rp",
    "$ua",
    "$du",
    "$dd",
    "$dp",
    "$proto",
    "$pr",
    "$au",
    "$ar",
    "$avp(x)",
    "$var(never)",
    "$hdr(Via)",
    "$hdr(v)",
    "$hdr(X-None)",
    "$(ru{uri.host})",
    "$(ua{s.substr,0,3})",
    "$(ua{s.substr,0,30000}{s.encode.hexa})",
    "$(ua{s.len})",
]
KX = [
    "au",
    "body",
    "callid",
    "duri",
    "fhost",
    "furi",
    "fuser",
    "method",
    "msgbuf",
    "ouri",
    "proto",
    "rcvip",
    "rcvport",
    "rhost",
    "ruri",
    "ruser",
    "srcip",
    "srcport",
    "thost",
    "turi",
    "tuser",
    "ua",
    "cturi",
    "bodylen",
    "msglen",
    "msgtype",
    "status",
    "nhuri",
    "srcuri",
    "srcaddr_sock",
    "rcvaddr_sock",
]
KX_EMPTY = ["au", "body", "cturi", "duri", "fhost", "fuser", "rhost", "ruser", "thost", "tuser", "ua"]
BARE = """OPTIONS sip:OWN SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK-NAME
From: <sip:127.0.0.1>;tag=a
To: <sip:127.0.0.1>
Call-ID: NAME
CSeq: 1 OPTIONS
X-Ask: ASK
Content-Length: 0

"""
DIGEST = 'Authorization: Digest username="alice", realm="example.com", nonce="x", uri="sip:example.com", response="0"\n'


def reading_questions() -> list[Scenario]:
    asked: list[Question] = [(how, name) for name in VARIABLES for how in ("pv.get", "pv.gete", "pv.is_null")]
    asked += [(f"kx.get_{name}",) for name in KX] + [("kx.gets_status",)]
    asked += [(f"kx.{how}_{name}",) for name in KX_EMPTY for how in ("gete", "getw")]
    asked += [
        ("corex.has_ruri_user",),
        ("corex.has_user_agent",),
        ("siputils.is_first_hop",),
        ("is_UDP",),
        ("is_TCP",),
    ]
    asked += [("is_IPv4",), ("is_proto", "udp"), ("is_WS",), ("is_myself_srcip",), ("is_myself_ruri",)]
    digest = REGISTER.replace("X-Ask", f"{DIGEST}X-Ask")
    credentials: list[Question] = [
        ("auth.has_credentials", "example.com"),
        ("auth.has_credentials", "other.example"),
        ("kx.get_au",),
        ("pv.get", "$au"),
        ("pv.get", "$ar"),
        ("auth.consume_credentials",),
        ("auth.auth_challenge", "example.com", 0),
    ]
    return [
        Scenario("read-invite", [(with_sdp(INVITE, "192.168.1.5"), asked)]),
        Scenario("read-bare-options", [(BARE, asked)]),
        Scenario("read-reply", [(REPLY, asked)]),
        Scenario("read-credentials", [(digest, credentials)]),
        Scenario("read-no-credentials", [(REGISTER, credentials)]),
        # A byte that is not UTF-8, and a NUL, in a header (the test sends lone surrogates as bytes).
        Scenario("read-latin-1", [(INVITE.replace("Phone/1", "Ph\udcf6ne"), asked)]),
        Scenario("read-nul", [(INVITE.replace("Phone/1", "Ph\0ne"), asked)]),
    ]


MYSELF = [
    "sip:example.com",
    "sip:example.com:5080",
    "sip:EXAMPLE.com",
    "sip:OWN",
    "sip:OWN:5060",
    "sip:OWN:5061",
    "sip:x@OWN",
    "sip:sub.example.com",
    "example.com",
    "sip:alice@other.example",
]
