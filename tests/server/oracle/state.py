"""More of what a real Kamailio and the fake are both asked: state that calls leave behind."""

from tests.server.oracle.messages import BYE, INVITE, REGISTER, REPLY, Question, Scenario

FLAGS: list[Question] = [
    call
    for kind in ("flag", "bflag", "sflag")
    for call in (
        (f"is{kind}set", 5),
        (f"set{kind}", 5),
        (f"is{kind}set", 5),
        (f"is{kind}set", 6),
        (f"reset{kind}", 5),
        (f"is{kind}set", 5),
        (f"set{kind}", 31),
    )
]
HTABLE: list[Question] = [
    ("htable.sht_get", "ipban", "k"),
    ("htable.sht_gete", "ipban", "k"),
    ("htable.sht_is_null", "ipban", "k"),
    ("htable.sht_inc", "ipban", "k"),
    ("htable.sht_seti", "ipban", "k", 3),
    ("htable.sht_is_null", "ipban", "k"),
    ("htable.sht_get", "ipban", "k"),
    ("htable.sht_inc", "ipban", "k"),
    ("htable.sht_dec", "ipban", "k"),
    ("htable.sht_setex", "ipban", "k", 60),
    ("htable.sht_sets", "ipban", "k", "v"),
    ("htable.sht_get", "ipban", "k"),
    ("htable.sht_inc", "ipban", "k"),
    ("htable.sht_rm", "ipban", "k"),
    ("htable.sht_rm", "ipban", "k"),
    ("htable.sht_get", "ipban", "k"),
    ("htable.sht_setxs", "ipban", "e", "v", 10),
    ("htable.sht_get", "ipban", "e"),
    ("htable.sht_setxi", "ipban", "f", 1, 10),
    ("htable.sht_inc", "ipban", "f"),
    ("htable.sht_setex", "ipban", "gone", 10),
    ("htable.sht_is_null", "ipban", "gone"),
    ("htable.sht_lock", "ipban", "k"),
    ("htable.sht_unlock", "ipban", "k"),
]
WRITING: list[Question] = [
    ("setdsturi", "sip:192.0.2.4"),
    ("isdsturiset",),
    ("pv.get", "$du"),
    ("kx.get_nhuri",),
    ("resetdsturi",),
    ("isdsturiset",),
    ("pv.sets", "$ru", "sip:new@host.example"),
    ("pv.get", "$ou"),
    ("pv.sets", "$rU", "carol"),
    ("pv.get", "$ru"),
    ("pv.sets", "$rd", "other.example"),
    ("pv.get", "$ru"),
    ("seturi", "sip:dave@third.example:5070;x=1"),
    ("setuser", "erin"),
    ("sethost", "fourth.example"),
    ("pv.get", "$rU"),
    ("pv.get", "$rd"),
    ("pv.sets", "$du", "sip:192.0.2.9"),
    ("pv.get", "$du"),
    ("pv.unset", "$du"),
    ("pv.get", "$du"),
    ("pv.seti", "$avp(i)", 7),
    ("pv.get", "$avp(i)"),
    ("pv.geti", "$avp(i)"),
    ("pv.sets", "$avp(i)", "z"),
    ("pv.get", "$avp(i)"),
    ("pv.unset", "$avp(i)"),
    ("pv.get", "$avp(i)"),
    ("pv.getw", "$avp(none)"),
    ("pv.getvs", "$avp(none)", "d"),
    ("pv.getvn", "$avp(none)", 5),
    ("pv.sets", "$var(n)", "1"),
    ("pv.get", "$var(n)"),
    ("pvx.avp_get", "s"),
    ("pvx.avp_gete", "s"),
    ("pvx.avp_sets", "s", "v"),
    ("pvx.avp_get", "s"),
    ("pvx.var_get", "w"),
    ("pvx.var_seti", "w", 2),
    ("pvx.var_get", "w"),
    ("nathelper.fix_nated_register",),
    ("pv.get", "$avp(RECEIVED)"),
]
HEADERS: list[Question] = [
    ("hdr.get", "user-agent"),
    ("hdr.get", "None"),
    ("hdr.gete", "None"),
    ("hdr.getw", "None"),
    ("hdr.get_idx", "Via", 0),
    ("hdr.get_idx", "Via", 1),
    ("hdr.get_idx", "Via", -1),
    ("hdr.is_present", "m"),
    ("hdr.append", "X-A: 1\r\n"),
    ("hdr.insert", "X-B: 2\r\n"),
    ("hdr.append_after", "X-C: 3\r\n", "Call-ID"),
    ("hdr.remove", "User-Agent"),
    ("hdr.remove", "None"),
    ("hdr.is_present", "User-Agent"),
    ("hdr.is_present", "X-A"),
    ("hdr.append_to_reply", "X-R: 1\r\n"),
    ("textops.is_present_hf", "User-Agent"),
    ("textops.has_body",),
    ("textops.search", "INVITE"),
    ("textopsx.msg_apply_changes",),
    ("hdr.get", "X-A"),
    ("hdr.get", "X-B"),
    ("hdr.get", "X-C"),
    ("hdr.is_present", "User-Agent"),
    ("corex.has_user_agent",),
]
HOPS: list[Question] = [
    ("maxfwd.is_maxfwd_lt", 10),
    ("maxfwd.process_maxfwd", 300),
    ("maxfwd.process_maxfwd", 10),
    ("hdr.get", "Max-Forwards"),
    ("textopsx.msg_apply_changes",),
    ("hdr.get", "Max-Forwards"),
]
# A port nobody listens on: what is relayed there gets no answer while the test runs.
TO_NOWHERE = INVITE.replace("sip:bob@example.com SIP", "sip:bob@127.0.0.1:9 SIP")
CHECK: list[Question] = [("tmx.t_precheck_trans",), ("tm.t_check_trans",)]
RELAY: list[Question] = [
    ("tm.t_is_set", "failure_route"),
    ("tm.t_on_failure", "ksr_onsend_route"),
    ("tm.t_is_set", "failure_route"),
    ("tm.t_is_set", "branch_route"),
    ("tm.t_is_canceled",),
    ("tm.t_branch_timeout",),
    ("tm.t_branch_replied",),
    ("tm.t_check_status", "4.."),
    ("tm.t_newtran",),
    ("tm.t_newtran",),
    ("tm.t_relay",),
    ("tm.t_relay",),
]
ANSWER: list[Question] = [
    ("tm.t_reply", 404, "Not Here"),
    ("tm.t_newtran",),
    ("sl.send_reply", 480, "Busy"),
    ("sl.send_reply", 481, "Busy"),
    ("tm.t_check_status", "480"),
    ("tm.t_check_status", "5.."),
]
CANCEL = TO_NOWHERE.replace("1 INVITE", "1 CANCEL").replace("INVITE sip", "CANCEL sip")
ACK = TO_NOWHERE.replace("INVITE", "ACK")
SAVE: list[Question] = [("nathelper.fix_nated_register",), ("setbflag", 6), ("registrar.save", "location", 0)]
SAVE_SILENTLY: list[Question] = [("registrar.save", "location", 2), ("registrar.reg_send_reply",)]
FIND: list[Question] = [
    ("registrar.registered", "location"),
    ("registrar.lookup", "location"),
    ("pv.get", "$ru"),
    ("pv.get", "$du"),
    ("isbflagset", 6),
    ("isdsturiset",),
]


_MYSELF = """
sip:example.com sip:example.com:5080 sip:EXAMPLE.com sip:OWN sip:OWN:5060 sip:OWN:5061
sip:x@OWN sip:sub.example.com example.com sip:alice@other.example
"""
MYSELF = _MYSELF.split()


def registrations() -> list[Scenario]:
    def again(number: int, contact: str = "", expires: int = 60) -> str:
        message = REGISTER.replace("1 REGISTER", f"{number} REGISTER").replace("bK-NAME", f"bK-NAME-{number}")
        line = "Contact: <sip:NAME@192.168.1.5:5060>\n"
        return message.replace(line, contact and f"Contact: {contact}\n").replace(
            "Expires: 60", f"Expires: {expires}"
        )

    call = INVITE.replace("bob@example", "NAME@example").replace("bK-NAME", "bK-NAME-call")
    own, other = "<sip:NAME@192.168.1.5:5060>", "<sip:NAME@192.168.1.6:5060>"
    return [
        Scenario("register-and-call", [(again(1, own), SAVE), (again(2, own), SAVE), (call, FIND)]),
        Scenario(
            "register-two-and-remove-one",
            [(again(1, own), SAVE), (again(2, other), SAVE), (again(3, own, 0), SAVE)],
        ),
        Scenario("register-two-and-call", [(again(1, own), SAVE), (again(2, other), SAVE), (call, FIND)]),
        Scenario(
            "register-two-renew-one-and-call",
            [(again(1, own), SAVE), (again(2, other), SAVE), (again(3, own), SAVE), (call, FIND)],
        ),
        Scenario("register-fetch", [(again(1, own), SAVE), (again(2), SAVE)]),
        Scenario(
            "register-silently", [(again(1, own), SAVE_SILENTLY), (again(2), SAVE_SILENTLY), (call, FIND)]
        ),
        Scenario("register-star", [(again(1, own), SAVE), (again(2, "*", 0), SAVE), (call, FIND)]),
        Scenario("register-garbage", [(again(1, "garbage<<"), SAVE), (call, FIND)]),
        Scenario("call-nobody", [(call, FIND)]),
    ]


def transactions() -> list[Scenario]:
    return [
        Scenario("relay", [(TO_NOWHERE, [*CHECK, *RELAY, *CHECK]), (TO_NOWHERE, CHECK)]),
        Scenario("answer", [(TO_NOWHERE, ANSWER), (TO_NOWHERE, CHECK), (ACK, CHECK)]),
        Scenario("cancel", [(TO_NOWHERE, [("tm.t_relay",)]), (CANCEL, [*CHECK, ("tm.t_lookup_cancel",)])]),
        Scenario("cancel-of-nothing", [(CANCEL, CHECK)]),
        Scenario("ack-of-nothing", [(ACK, [*CHECK, ("tm.t_newtran",)])]),
        Scenario("reply-without-request", [(REPLY, CHECK)]),
        Scenario(
            "stateless-answers", [(TO_NOWHERE, [("sl.sl_send_reply", 404, "x"), ("sl.send_reply", 404, "x")])]
        ),
    ]


def state_questions() -> list[Scenario]:
    own = [("is_myself", uri) for uri in MYSELF]
    defines: list[Question] = [
        (function, name)
        for name in ("ORACLE", "GREETING", "NOPE")
        for function in ("kx.ifdef", "kx.ifndef", "kx.get_def")
    ]
    checks: list[Question] = [
        ("sanity.sanity_check", 17895, 7),
        ("pike.pike_check_req",),
        ("force_rport",),
        ("err", "x"),
    ]
    checks += [
        ("set_reply_no_connect",),
        ("set_forward_no_connect",),
        ("rtpproxy.rtpproxy_manage", "co"),
        ("set_drop",),
    ]
    hops = {"70": "70", "0": "0", "x": "x", "1": "1"}
    return [
        Scenario("flags", [(INVITE, FLAGS)]),
        Scenario("htable", [(INVITE, HTABLE)]),
        Scenario("writing", [(INVITE, WRITING)]),
        Scenario("headers", [(INVITE, HEADERS)]),
        Scenario("myself", [(INVITE, [*own])]),
        Scenario("defines", [(INVITE, defines)]),
        Scenario("checks", [(INVITE, checks)]),
        Scenario(
            "in-dialog-reads",
            [(BYE, [("textops.has_body",), ("hdr.get", "Route"), ("corex.has_user_agent",)])],
        ),
        *(
            Scenario(f"hops-{name}", [(INVITE.replace("s: 70", f"s: {value}"), HOPS)])
            for name, value in hops.items()
        ),
        Scenario("hops-missing", [(INVITE.replace("Max-Forwards: 70\n", ""), HOPS)]),
    ]
