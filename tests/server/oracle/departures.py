"""Requests that are relayed to the port they came from, so that what Kamailio sends can be read."""

from tests.server.oracle.messages import BYE, INVITE, Question

# Label: message, calls before t_relay(), calls in the branch callback. What leaves goes to the port it came from.
TO_SENDER = INVITE.replace("sip:bob@example.com SIP", "sip:bob@127.0.0.1:PORT SIP")
BYE_TO_SENDER = BYE.replace("alias=203.0.113.9~4000~1", "alias=127.0.0.1~PORT~1")
DEPARTURES: dict[str, tuple[str, list[Question], list[Question]]] = {
    "plain": (TO_SENDER, [], []),
    "recorded": (
        TO_SENDER,
        [("rr.record_route",), ("maxfwd.process_maxfwd", 10), ("setflag", 5), ("setbflag", 6)],
        [
            ("isflagset", 5),
            ("isbflagset", 6),
            ("rr.add_rr_param", ";nat=yes"),
            ("pv.get", "$ru"),
            ("setbflag", 7),
        ],
    ),
    "headers": (
        TO_SENDER,
        [("hdr.append", "X-A: 1\r\n"), ("hdr.remove", "User-Agent"), ("hdr.insert", "X-B: 2\r\n")],
        [("hdr.append", "X-C: 3\r\n"), ("hdr.is_present", "X-A"), ("tm.t_check_trans",)],
    ),
    "alias": (
        TO_SENDER,
        [("nathelper.set_contact_alias",)],
        [("nathelper.set_contact_alias",), ("nathelper.nat_uac_test", 1), ("tm.t_is_set", "branch_route")],
    ),
    "no-hops": (TO_SENDER.replace("Max-Forwards: 70\n", ""), [("maxfwd.process_maxfwd", 10)], []),
    "in-dialog": (
        BYE_TO_SENDER,
        [("rr.loose_route",), ("nathelper.handle_ruri_alias",), ("rr.record_route",)],
        [("rr.check_route_param", "nat=yes"), ("siputils.has_totag",), ("isdsturiset",), ("pv.get", "$du")],
    ),
    "in-dialog-two-routes": (
        BYE_TO_SENDER.replace("nat=yes>", "nat=yes>, <sip:127.0.0.1:PORT;lr>"),
        [("rr.loose_route",)],
        [("hdr.get", "Route"), ("pv.get", "$du")],
    ),
    "destination": (
        INVITE,
        [("setdsturi", "sip:127.0.0.1:PORT"), ("setuser", "carol")],
        [("pv.get", "$du"), ("pv.get", "$ru"), ("kx.get_nhuri",)],
    ),
}

#: Label: status of the callee's answer, calls while it is at hand, the same in its transaction, calls in the failure
#: callback. Before them the INVITE was relayed with message flag 5 and branch flag 6. A 200 carries SDP.
ENDINGS: dict[str, tuple[int, list[Question], list[Question], list[Question]]] = {
    "ringing": (
        180,
        [("kx.get_status",), ("isflagset", 5), ("siputils.is_reply",), ("rtpproxy.rtpproxy_manage", "co")],
        [
            ("kx.get_status",),
            ("isflagset", 5),
            ("isbflagset", 6),
            ("isflagset", 4),
            ("tm.t_check_status", "18."),
        ],
        [],
    ),
    "success": (
        200,
        [("nathelper.nat_uac_test", 1), ("siputils.is_first_hop",), ("siputils.has_totag",)],
        [
            ("isflagset", 5),
            ("isbflagset", 6),
            ("is_INVITE",),
            ("tm.t_check_status", "2.."),
            ("tm.t_is_canceled",),
        ],
        [],
    ),
    "late-offer": (200, [], [("rtpproxy.rtpproxy_manage", "co")], []),
    "busy": (
        486,
        [("isflagset", 5), ("isbflagset", 6)],
        [("isflagset", 5), ("tm.t_check_status", "486"), ("tmx.t_is_reply_route",)],
        [
            ("tm.t_check_status", "486|408"),
            ("tm.t_check_status", "408"),
            ("tm.t_is_canceled",),
            ("tm.t_branch_timeout",),
            ("tm.t_branch_replied",),
            ("tm.t_check_trans",),
            ("isflagset", 5),
            ("is_INVITE",),
            ("siputils.has_totag",),
            ("pv.get", "$ru"),
            ("tmx.t_is_failure_route",),
            ("tm.t_is_set", "failure_route"),
            ("tm.t_reply", 480, "Elsewhere"),
            ("tm.t_reply", 481, "Twice"),
        ],
    ),
    "moved-on": (
        408,
        [("pv.get", "$rs")],
        [("pv.get", "$rr")],
        [("seturi", "sip:voicemail@127.0.0.1:9"), ("tm.t_relay",), ("tm.t_check_status", "408")],
    ),
}
