"""The order of the decisions, and the rules that are not about NAT, media or passwords."""

from __future__ import annotations

import pytest

from kemi.flags import Flag
from kemi.request import Request
from kemi.router import Router, Rule
from kemi.testing.builders import PUBLIC, ack, bye, cancel, in_dialog, invite, register, reply, request
from kemi.testing.ksr import FakeKSR
from kemi.testing.message import Message
from kemi.verdict import Verdict
from tests.unit.serving import MakeServer

FOREIGN = "sip:carol@elsewhere.example"


def test_the_rules_stand_in_the_stock_order() -> None:
    names = [rule.__name__ for rule in _rules()]
    assert names == [
        "answer_symmetrically",
        "screen_floods",
        "screen_scanners",
        "limit_hops",
        "answer_keepalive",
        "screen_malformed",
        "find_nat",
        "cancel",
        "absorb_retransmission",
        "in_dialog",
        "authenticate",
        "refuse_strangers",
        "record_route",
        "to_foreign_domain",
        "presence",
        "register",
        "refuse_incomplete_address",
        "count_dialog",
        "to_pstn",
        "expand_speed_dial",
        "resolve_alias",
        "to_registered_contacts",
    ]


def _rules() -> tuple[Rule, ...]:
    from kemi.features import Features
    from kemi.settings import Settings

    return Router(Settings(), Features()).rules()


ANSWERED = [
    ("keepalive to the server", request("OPTIONS", "sip:example.com"), 200, "Keepalive"),
    ("OPTIONS to a user is routed", request("OPTIONS", "sip:nobody@example.com"), 404, "Not Found"),
    ("nobody has registered", invite("nobody"), 404, "Not Found"),
    ("no user in the request-URI", request("INVITE", "sip:example.com"), 484, "Address Incomplete"),
    ("no open relay", request("INVITE", FOREIGN), 403, "Not relaying"),
    ("no presence server", request("PUBLISH", "sip:alice@example.com"), 404, "Not here"),
    ("subscription to the server", request("SUBSCRIBE", "sip:example.com"), 404, "Not here"),
    (
        "no voicemail server",
        request("SUBSCRIBE", "sip:alice@example.com", headers={"Event": "message-summary"}),
        404,
        "No voicemail service",
    ),
    ("a BYE without a recorded route", bye(route=""), 404, "Not here"),
    ("a re-INVITE without a recorded route", in_dialog("INVITE", route=""), 404, "Not here"),
]


@pytest.mark.parametrize(
    ("message", "code", "reason"), [row[1:] for row in ANSWERED], ids=[row[0] for row in ANSWERED]
)
def test_answers_itself(make_server: MakeServer, message: Message, code: int, reason: str) -> None:
    answer = make_server().receive(message)
    assert answer is not None
    assert (answer.code, answer.reason) == (code, reason)


@pytest.mark.parametrize("agent", ["friendly-scanner", "SIPVicious/0.3", "pplsip", "My VaxSIPUserAgent 3"])
def test_scanners_get_silence(make_server: MakeServer, ksr: FakeKSR, agent: str) -> None:
    message = (
        request("OPTIONS", "sip:example.com").without_header("User-Agent").with_header("User-Agent", agent)
    )
    assert make_server().receive(message) is None
    assert not ksr.relayed


def test_no_hop_left_is_answered_483(make_server: MakeServer) -> None:
    message = invite("bob").without_header("Max-Forwards").with_header("Max-Forwards", "0")
    answer = make_server().receive(message)
    assert answer is not None
    assert answer.code == 483


def test_a_malformed_request_is_left_to_sanity(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.answer("sanity.sanity_check", -1)
    assert make_server().receive(invite("bob")) is None
    assert not ksr.relayed


def test_replies_go_where_the_request_came_from(make_server: MakeServer, ksr: FakeKSR) -> None:
    make_server().receive(request("OPTIONS", "sip:example.com"))
    assert ksr.called("force_rport") == [()]
    assert ksr.called("set_reply_no_connect") == [()]


def test_a_call_goes_to_every_contact(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server()
    server.register("bob", "sip:bob@198.51.100.20:5060")
    ksr.location["bob"] += [type(ksr.location["bob"][0])("sip:bob@198.51.100.21:5060")]
    assert server.receive(invite("bob")) is None
    assert {relay.destination for relay in ksr.relayed} == {
        "sip:bob@198.51.100.20:5060",
        "sip:bob@198.51.100.21:5060",
    }
    assert {Flag.ACCOUNT, Flag.ACCOUNT_MISSED} <= ksr.now.flags


def test_only_dialog_forming_requests_are_record_routed(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server()
    server.register("bob", "sip:bob@198.51.100.20:5060")
    for method, expected in (("INVITE", 1), ("SUBSCRIBE", 1), ("MESSAGE", 0), ("OPTIONS", 0)):
        before = len(ksr.called("rr.record_route"))
        server.receive(request(method, "sip:bob@example.com"))
        assert len(ksr.called("rr.record_route")) - before == expected, method


def test_preloaded_routes_are_removed(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server()
    server.register("bob", "sip:bob@198.51.100.20:5060")
    server.receive(invite("bob").with_header("Route", "<sip:192.0.2.66;lr>"))
    (relay,) = ksr.relayed
    assert relay.message.header("Route") is None
    assert relay.destination == "sip:bob@198.51.100.20:5060"


def test_a_request_in_a_dialog_follows_its_route(make_server: MakeServer, ksr: FakeKSR) -> None:
    assert make_server().receive(bye()) is None
    (relay,) = ksr.relayed
    assert relay.destination == "sip:bob@198.51.100.20:5060"
    assert {Flag.ACCOUNT, Flag.ACCOUNT_FAILED} <= ksr.now.flags


def test_notify_in_a_dialog_is_record_routed(make_server: MakeServer, ksr: FakeKSR) -> None:
    make_server().receive(in_dialog("NOTIFY"))
    assert ksr.called("rr.record_route") == [()]


def test_subscribe_in_a_dialog_with_us_is_not_relayed(make_server: MakeServer, ksr: FakeKSR) -> None:
    assert make_server().receive(in_dialog("SUBSCRIBE", "sip:alice@example.com", route="")) is None
    assert not ksr.relayed


def test_an_ack_to_nothing_is_dropped(make_server: MakeServer, ksr: FakeKSR) -> None:
    assert make_server().receive(in_dialog("ACK", route="")) is None
    assert not ksr.relayed


def test_an_ack_to_a_failure_we_sent_ends_here(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server()
    call = invite("nobody")
    server.receive(call)
    assert server.receive(ack(call)) is None
    assert not ksr.called("tm.t_relay")


def test_an_ack_without_route_to_a_call_we_relayed_goes_on(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server()
    server.register("bob", "sip:bob@198.51.100.20:5060")
    call = invite("bob")
    server.receive(call)
    end_to_end = ack(call)
    end_to_end.headers[0] = ("Via", f"SIP/2.0/UDP {PUBLIC}:5060;branch=z9hG4bK-of-its-own")
    server.receive(end_to_end)
    assert len(ksr.called("tm.t_relay")) == 2


def test_a_cancel_follows_its_invite(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server()
    server.register("bob", "sip:bob@198.51.100.20:5060")
    call = invite("bob")
    server.receive(call)
    answer = server.receive(cancel(call))
    assert answer is not None
    assert (answer.code, answer.reason) == (200, "canceling")  # tm's own
    assert [relay.destination for relay in ksr.relayed] == ["sip:bob@198.51.100.20:5060"] * 2


def test_a_cancel_without_invite_goes_nowhere(make_server: MakeServer, ksr: FakeKSR) -> None:
    assert make_server().receive(cancel(invite("bob"))) is None
    assert not ksr.called("tm.t_relay")


def test_a_retransmission_is_absorbed(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server()
    server.register("bob", "sip:bob@198.51.100.20:5060")
    call = invite("bob")
    server.receive(call)
    server.receive(call)
    assert len(ksr.relayed) == 1


def test_a_request_in_another_process_is_absorbed(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.answer("tmx.t_precheck_trans", 1)
    server = make_server()
    server.register("bob", "sip:bob@198.51.100.20:5060")
    assert server.receive(invite("bob")) is None
    assert not ksr.relayed


def test_a_method_that_no_contact_takes_is_405(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.answer("registrar.lookup", -2)
    answer = make_server().receive(request("MESSAGE", "sip:bob@example.com"))
    assert answer is not None
    assert (answer.code, answer.stateful) == (405, True)


def test_failing_to_send_is_answered(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.answer("tm.t_relay", -1)
    server = make_server()
    server.register("bob", "sip:bob@198.51.100.20:5060")
    answer = server.receive(invite("bob"))
    assert answer is not None
    assert answer.code == 500


def test_a_register_that_cannot_be_stored_is_answered(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.answer("registrar.save", -1)
    answer = make_server().receive(register("alice"))
    assert answer is not None
    assert answer.code == 500


def test_memory_will_do_where_the_database_may_fail(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server("KEMI_DATABASE_MAY_FAIL")
    stored = server.receive(register("alice", expires=60))
    assert stored is not None
    assert stored.code == 200
    assert any("expires=60" in header for header in stored.headers)
    ksr.answer("registrar.save", [-1, 2])
    kept = server.receive(register("alice"))
    assert kept is not None
    assert kept.code == 200
    ksr.answer("registrar.save", -1)
    refused = server.receive(register("alice"))
    assert refused is not None
    assert refused.code == 500


def test_a_malformed_reply_is_dropped(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.answer("sanity.sanity_check", -1)
    server = make_server()
    ksr.receive(reply(200))
    server.handler.ksr_reply_route(None)
    assert ksr.dropped


ARMED = [
    ("INVITE", ("ksr_on_branch", "ksr_on_reply", "ksr_on_failure")),
    ("SUBSCRIBE", ("ksr_on_branch", "ksr_on_reply", None)),
    ("UPDATE", ("ksr_on_branch", "ksr_on_reply", None)),
    ("PRACK", ("ksr_on_branch", "ksr_on_reply", None)),
    ("BYE", ("ksr_on_branch", None, None)),
    ("MESSAGE", (None, None, None)),
]


@pytest.mark.parametrize(("method", "armed"), ARMED, ids=[row[0] for row in ARMED])
def test_callbacks_are_armed_by_method(
    make_server: MakeServer, ksr: FakeKSR, method: str, armed: tuple[str | None, ...]
) -> None:
    make_server().receive(in_dialog(method))
    routes = ("branch_route", "onreply_route", "failure_route")
    assert tuple(ksr.now.callbacks.get(route) for route in routes) == armed


class Armed(Router):
    """A user's rule that brings its own branch callback."""

    def to_registered_contacts(self, request: Request) -> Verdict | None:
        request.arm(branch="ksr_on_reply")
        return super().to_registered_contacts(request)


def test_a_callback_that_a_rule_has_armed_stays(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server(router=Armed)
    server.register("bob", "sip:bob@198.51.100.20:5060")
    server.receive(invite("bob"))
    assert ksr.now.callbacks["branch_route"] == "ksr_on_reply"
