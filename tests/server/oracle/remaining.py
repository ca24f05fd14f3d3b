"""Questions about every function that the fake knows and that no other list asks."""

from tests.server.oracle.messages import BYE, INVITE, REPLY, Question, Scenario, with_sdp
from tests.server.oracle.state import CANCEL, TO_NOWHERE

_ADDRESSES = """
10.0.0.1 172.15.0.1 172.16.0.1 172.31.255.255 172.32.0.1 192.168.0.1 192.169.0.1 100.63.0.1
100.64.0.1 100.127.9.9 100.128.0.1 192.0.0.1 192.0.1.1 192.0.2.1 127.0.0.1 169.254.1.1 8.8.8.8 phone.example
"""
ADDRESSES = _ADDRESSES.split()

LOGGING: list[Question] = [(level, "x\n") for level in ("dbg", "info", "notice", "warn", "crit")]
LOGGING += [("log", level, "x\n") for level in ("info", "warn", "nonsense")]

KINDS: list[Question] = [
    (f"is_{kind}",)
    for kind in ("GET", "POST", "PUT", "DELETE", "KDMQ", "TLS", "SCTP", "WSS", "WSX", "IPv6", "WS", "TCP")
]
PORTS: list[Question] = [
    ("is_dst_port", 5060),
    ("is_dst_port", 5061),
    ("corex.set_source_address", "udp:203.0.113.9:4000"),
    ("is_src_port", 4000),
    ("is_src_port", 4001),
    ("is_myself_suri",),
    ("kx.get_srcuri",),
]
NEXT_HOP: list[Question] = [
    ("is_myself_duri",),
    ("is_myself_nhuri",),
    ("setdsturi", "sip:OWN:5060"),
    ("is_myself_duri",),
    ("is_myself_nhuri",),
    ("setdsturi", "sip:203.0.113.9"),
    ("is_myself_duri",),
    ("is_myself_nhuri",),
]
CONNECTIONS: list[Question] = [("set_forward_close",), ("set_reply_close",), ("add_local_rport",)]
HEADERS: list[Question] = [
    ("hdr.gete_idx", "Via", 0),
    ("hdr.gete_idx", "Via", 1),
    ("hdr.get_idx", "X-None", 0),
    ("hdr.rmappend", "User-Agent", "User-Agent: other\r\n"),
    ("hdr.rminsert", "Max-Forwards", "Max-Forwards: 5\r\n"),
    ("textopsx.msg_apply_changes",),
    ("hdr.get", "User-Agent"),
    ("hdr.get", "Max-Forwards"),
    ("textops.append_hf", "X-A: 1\r\n"),
    ("textops.remove_hf", "User-Agent"),
    ("textops.remove_hf", "X-None"),
    ("textops.append_to_reply", "X-R: 1\r\n"),
    ("textopsx.msg_apply_changes",),
    ("hdr.get", "X-A"),
    ("hdr.is_present", "User-Agent"),
]
BODY: list[Question] = [
    ("textops.has_body",),
    ("textops.has_body_type", "application/sdp"),
    ("textops.has_body_type", "APPLICATION/SDP"),
    ("textops.has_body_type", "text/plain"),
    ("kx.get_bodylen",),
    ("textops.search", "m=audio"),
    ("textops.search", "M=AUDIO"),
    ("textops.search", "m=video"),
    ("textopsx.remove_body",),
    ("textopsx.msg_apply_changes",),
    ("textops.has_body",),
]
CONTACT: list[Question] = [
    ("corex.set_source_address", "udp:203.0.113.9:4000"),
    ("nathelper.fix_nated_contact",),
    ("pv.get", "$ct"),
    ("textopsx.msg_apply_changes",),
    ("pv.get", "$ct"),
]
ADDED_ALIAS: list[Question] = [
    ("nathelper.add_contact_alias",) if call == ("nathelper.fix_nated_contact",) else call for call in CONTACT
]
VALUES: list[Question] = [
    ("pvx.avp_getw", "n"),
    ("pvx.avp_seti", "n", 3),
    ("pvx.avp_get", "n"),
    ("pvx.avp_getw", "n"),
    ("pvx.avp_sets", "n", "top"),
    ("pvx.avp_get", "n"),
    ("pvx.avp_rm", "n"),
    ("pvx.avp_get", "n"),
    ("pvx.avp_rm", "n"),
    ("pvx.avp_rm", "n"),
    ("pvx.var_sets", "v", "text"),
    ("pvx.var_get", "v"),
]
TABLES: list[Question] = [
    ("htable.sht_sets", "ipban", "r", "v"),
    ("htable.sht_reset", "ipban"),
    ("htable.sht_get", "ipban", "r"),
]
MEDIA: list[Question] = [
    ("rtpproxy.set_rtpproxy_set", 0),
    ("rtpproxy.rtpproxy_offer", "co"),
    ("rtpproxy.rtpproxy_manage0",),
    ("rtpproxy.rtpproxy_destroy0",),
    ("rtpproxy.rtpproxy_destroy", ""),
]
ENGINE: list[Question] = [
    ("rtpengine.rtpengine_offer", "replace-origin"),
    ("rtpengine.rtpengine_manage0",),
    ("rtpengine.rtpengine_delete0",),
    ("rtpengine.rtpengine_delete", ""),
]
UNKNOWN_ANSWER: list[Question] = [("rtpproxy.rtpproxy_answer", "co"), ("rtpengine.rtpengine_answer", "")]
TRANSACTION: list[Question] = [
    ("tm.t_get_status_code",),
    ("tm.t_lookup_request",),
    *[
        ("tmx." + name,)
        for name in ("t_is_request_route", "t_is_branch_route", "t_is_failure_route", "t_is_reply_route")
    ],
    ("tm.t_on_branch", "ksr_on_branch"),
    ("tm.t_on_reply", "ksr_on_reply"),
    ("tm.t_on_branch_failure", "ksr_on_failure"),
    *[
        ("tm.t_is_set", route)
        for route in ("branch_route", "onreply_route", "failure_route", "branch_failure_route")
    ],
    ("tm.t_set_fr", 5000, 3000),
    ("tm.t_set_fr_inv", 5000),
    ("tm.t_set_disable_internal_reply", 1),
    ("tm.t_newtran",),
    ("tm.t_send_reply", 480, "Not now"),
    ("tm.t_get_status_code",),
    ("tm.t_send_reply", 481, "Twice"),
]
TAKEN: list[Question] = [
    (f"mqueue.mq{part}_{how}", "line") for part in ("k", "v") for how in ("get", "gete", "getw")
]
FETCH: list[Question] = [("mqueue.mq_fetch", "line"), ("mqueue.mq_size", "line")]
QUEUE: list[Question] = [
    *TAKEN,
    *FETCH,
    *(("mqueue.mq_add", "line", f"key {number}", f"value {number}") for number in range(4)),
    *FETCH,
    *TAKEN,
    *FETCH,
    *TAKEN,
    ("mqueue.mq_pv_free", "line"),
    *TAKEN,
    *FETCH,
    *TAKEN,
    ("mqueue.mq_add", "line", "key", ""),
    *FETCH,
    *TAKEN,
    ("mqueue.mq_add", "none", "key", "value"),
    ("mqueue.mq_fetch", "none"),
    ("mqueue.mq_size", "none"),
    ("mqueue.mqv_get", "none"),
    ("mqueue.mq_pv_free", "none"),
]
AGAIN: list[Question] = [("tm.t_lookup_request",), ("tm.t_lookup_cancel",)]


def remaining_questions() -> list[Scenario]:
    call = with_sdp(INVITE, "192.0.2.5")
    calls: dict[str, list[Question]] = {
        "logging": LOGGING,
        "kinds": KINDS,
        "ports": PORTS,
        "next-hop": NEXT_HOP,
        "connections": CONNECTIONS,
        "more-headers": HEADERS,
        "body": BODY,
        "fixed-contact": CONTACT,
        "added-alias": ADDED_ALIAS,
        "rfc1918": [("nathelper.is_rfc1918", address) for address in ADDRESSES],
        "values": VALUES,
        "tables": TABLES,
        "media-of-nothing": UNKNOWN_ANSWER,
    }
    return [
        *(
            Scenario(f"{name}-{kind}", [(message, asked)])
            for name, asked in calls.items()
            for kind, message in {"invite": call, "bye": BYE, "reply": REPLY}.items()
        ),
        Scenario("media-commands", [(call, MEDIA)]),
        Scenario("rtpengine-commands", [(call, ENGINE)]),
        Scenario("queue", [(INVITE, QUEUE)]),
        Scenario("transaction", [(TO_NOWHERE, TRANSACTION), (TO_NOWHERE, AGAIN), (CANCEL, AGAIN)]),
        Scenario("error-replies", [(INVITE, [("sl.sl_reply_error",)])]),
    ]
