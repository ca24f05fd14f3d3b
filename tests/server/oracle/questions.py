"""Questions about the message at hand: method, NAT, dialog."""

from tests.server.oracle.messages import BYE, INVITE, REPLY, Question, Scenario, from_public, with_sdp

_METHODS = """
INVITE ACK BYE CANCEL REGISTER MESSAGE OPTIONS SUBSCRIBE PUBLISH NOTIFY UPDATE PRACK
REFER INFO
"""
METHODS = _METHODS.split()
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
