"""The routes on a fake Kamailio, as the fixture `router` gives them: requests, replies, dialogs, and what is told."""

from __future__ import annotations

import KSR
import pytest

from kemi.branch import Branch
from kemi.features import Features
from kemi.features import read as read_features
from kemi.request import Request
from kemi.router import Router
from kemi.settings import Settings
from kemi.testing import FakeKSR, FakeServer, authorize, cancel, invite, register, request
from kemi.testing.handled import explain
from kemi.verdict import RELAY, Absorb, Drop, Reply, Verdict


class Routes(Router):
    """Each of the things that can go wrong, by the called user."""

    def to_registered_contacts(self, request: Request) -> Verdict | None:
        match request.uri_user:
            case "refused":
                return Reply(403, "Not him")
            case "broken":
                raise KeyError("broken")
            case "undecided":
                return None
            case "twice":
                KSR.sl.send_reply(480, "One")
                return Reply(480, "Two")
        return super().to_registered_contacts(request)

    def on_branch(self, branch: Branch) -> None:
        super().on_branch(branch)
        if str(KSR.pv.get("$ou")).startswith("sip:marked"):
            KSR.hdr.append("X-Mark: 1\r\n")


def routes(ksr: FakeKSR, *defines: str) -> FakeServer:
    ksr.defines |= dict.fromkeys(defines, "")
    settings = Settings()
    features: Features = read_features(settings)
    return FakeServer(ksr, Routes(settings, features))


def test_what_was_handled_equals_its_verdict_and_no_other(ksr: FakeKSR) -> None:
    server = routes(ksr)
    server.register("bob")
    refused = server.handle(invite("refused"))
    assert refused == Reply(403, "Not him")
    assert Reply(403, "Not him") == refused
    assert refused != Reply(404, "Not him")
    assert (refused.status, refused.rule, refused.reply.reason) == (403, "to_registered_contacts", "Not him")
    relayed = server.handle(invite("bob"))
    assert relayed == RELAY
    assert relayed != refused
    assert relayed.relay.destination == "sip:bob@198.51.100.20:5060"
    assert relayed.called("registrar.lookup") == [("location",)]
    assert refused.called("registrar.lookup") == []
    scanner = request("OPTIONS", "bob").with_header("User-Agent", "friendly-scanner")
    assert server.handle(scanner) == Drop("scanner")


def test_what_a_rule_raises_is_raised_in_the_test(ksr: FakeKSR) -> None:
    server = routes(ksr)
    with pytest.raises(KeyError, match="broken") as raised:
        server.handle(invite("broken"))
    # From the rule on, past the machinery.
    assert [entry.name for entry in raised.traceback][-1] == "to_registered_contacts"
    assert "ksr_request_route" not in [entry.name for entry in raised.traceback]


def test_a_guarded_exception_costs_the_caller_a_500(ksr: FakeKSR) -> None:
    handled = routes(ksr).handle(invite("broken"), guarded=True)
    assert handled.status == 500
    assert handled.verdict is None
    assert "to_registered_contacts     raised KeyError: 'broken'" in str(handled)


def test_what_only_the_guard_saw_is_an_error_with_its_text(ksr: FakeKSR) -> None:
    with pytest.raises(AssertionError, match="no rule decided: expected one of Router"):
        routes(ksr).handle(invite("undecided"))


def test_two_answers_are_one_too_many(ksr: FakeKSR) -> None:
    handled = routes(ksr).handle(invite("twice"))
    with pytest.raises(AssertionError, match=r"(?s)expected one answer, found 2:.*answered 480 Two"):
        _ = handled.reply


def test_misuse_of_ksr_is_raised_once(ksr: FakeKSR) -> None:
    server = routes(ksr)
    ksr.answer("registrar.lookup", lambda _table: KSR.setflag(99))
    with pytest.raises(ValueError, match="flag 99: expected 0 to 31"):
        server.handle(invite("bob"))
    assert ksr.misuse == []


def test_a_registration_is_found_by_the_next_call(ksr: FakeKSR) -> None:
    server = routes(ksr, "WITH_NAT")
    saved = server.handle(register("bob", nated=True))
    assert (saved.status, saved.rule) == (200, "register")
    call = server.handle(invite("bob", from_="carol"))
    assert call.relay.destination == "sip:192.0.2.10:40000"
    assert call.media == [("offer", "cor")]


def test_a_call_through_nats_from_invite_to_bye(ksr: FakeKSR) -> None:
    server = routes(ksr, "WITH_NAT")
    server.register("bob", nated=True)
    call = server.handle(invite("bob", nated=True))
    assert call == RELAY
    assert ";nat=yes" in (call.relay.message.header("Record-Route") or "")
    answered = server.answer(200)
    assert answered.message.source == ("198.51.100.20", 33333)
    assert answered.media == [("answer", "cor")]
    assert answered.outcome()[0] == "passed back 200 OK to INVITE"
    acknowledged = server.in_dialog("ACK")
    assert acknowledged.relay.destination == "sip:198.51.100.20:33333"
    assert acknowledged.relay.message.uri == "sip:bob@192.168.7.20:5060"
    hung_up = server.in_dialog("BYE", by_callee=True)
    assert hung_up.message.tag("To") == "from-1"
    assert hung_up.relay.destination == "sip:192.0.2.10:40000"
    assert hung_up.relay.message.uri == "sip:alice@192.168.1.10:5060"
    assert hung_up.media == [("delete", "cor")]


def test_the_failure_callback_runs_when_all_branches_have_failed(ksr: FakeKSR) -> None:
    server = routes(ksr, "WITH_BLOCK3XX")
    server.register("bob")
    server.register("bob", contact="sip:bob@198.51.100.21:5060")
    assert len(server.handle(invite("bob")).relays) == 2
    first = server.answer(302)
    assert [step.name for step in first.steps] == ["on_any_reply", "on_reply"]
    second = server.answer(486)
    assert (second.status, second.rule) == (404, "on_failure")
    assert first.passed_back is second.passed_back is None


def test_the_best_failure_goes_back_to_the_caller(ksr: FakeKSR) -> None:
    server = routes(ksr)
    server.register("bob")
    server.register("bob", contact="sip:bob@198.51.100.21:5060")
    server.handle(invite("bob"))
    server.answer(486)
    passed_back = server.answer(503).passed_back
    assert passed_back is not None
    assert (passed_back.status, len(passed_back.header_values("Via"))) == (486, 1)
    server.handle(invite("bob"))
    assert str(server.fail()).endswith("passed back 408 Request Timeout to INVITE")


def test_an_event_of_a_module_reaches_the_routes(ksr: FakeKSR) -> None:
    server = routes(ksr, "WITH_JSONRPC")
    question = request("GET", "/RPC")
    question.source = ("127.0.0.1", 40000)
    handled = server.event("xhttp:request", question)
    assert handled.called("jsonrpcs.dispatch") == [()]
    assert [step.name for step in handled.steps] == ["on_event"]


def test_nobody_answers(ksr: FakeKSR) -> None:
    server = routes(ksr, "WITH_VOICEMAIL")
    ksr.custom["voicemail.srv_ip"] = "203.0.113.9"
    server.register("bob")
    server.handle(invite("bob"))
    late = server.fail()
    assert late == RELAY
    assert late.relay.message.uri == "sip:bob@203.0.113.9"


def test_a_cancelled_call_fails_as_cancelled(ksr: FakeKSR) -> None:
    server = routes(ksr, "WITH_VOICEMAIL")
    ksr.custom["voicemail.srv_ip"] = "203.0.113.9"
    server.register("bob")
    call = invite("bob")
    server.handle(call)
    assert server.handle(cancel(call)) == RELAY
    ended = server.answer(487)
    assert ended.verdict is None
    assert ended.called("tm.t_is_canceled") == [()]


def test_credentials_may_be_sent_at_once(ksr: FakeKSR) -> None:
    server = routes(ksr, "WITH_AUTH")
    ksr.subscribers = {"alice": "secret"}
    server.register("bob")
    assert isinstance(server.handle(invite("bob")).verdict, Absorb)
    assert server.handle(authorize(invite("bob"), "alice", "secret")) == RELAY


@pytest.mark.parametrize("what", ["answer", "fail", "in_dialog"])
def test_what_needs_a_call_before_says_so(ksr: FakeKSR, what: str) -> None:
    server = routes(ksr)
    with pytest.raises(RuntimeError, match=r"handle one first|handle an INVITE"):
        getattr(server, what)("BYE" if what == "in_dialog" else 486)


def test_the_story_has_every_rule_with_its_calls_and_what_went_out(ksr: FakeKSR) -> None:
    server = routes(ksr)
    server.register("marked")
    story = str(server.handle(invite("marked"))).splitlines()
    assert story[0] == "INVITE sip:marked@example.com from 192.0.2.10:5060"
    place = story.index("  to_registered_contacts     relay")
    assert "      KSR.registrar.lookup('location') -> 1" in story[place:]
    branch = story.index("  on_branch                  -")
    assert "      KSR.hdr.append('X-Mark: 1\\r\\n') -> 1" in story[branch:]
    assert story.count("      KSR.tm.t_relay() -> 1") == 1
    assert story[-1] == "  sent on to sip:marked@198.51.100.20:5060 (INVITE sip:marked@198.51.100.20:5060)"


def test_the_story_marks_what_the_fake_only_assumes(ksr: FakeKSR) -> None:
    server = routes(ksr, "WITH_ALIASDB")
    server.register("bob")
    assumed = "      KSR.alias_db.lookup('dbaliases') -> -1 (assumed; ksr.answer() sets another)"
    assert assumed in str(server.handle(invite("bob"))).splitlines()
    ksr.answer("alias_db.lookup", -1)
    assert "(assumed" not in str(server.handle(invite("bob")))


def test_an_unexpected_verdict_is_explained_in_eight_lines(ksr: FakeKSR) -> None:
    server = routes(ksr)
    server.register("bob")
    handled = server.handle(invite("bob"))
    lines = explain(handled, Reply(403, "Not him", stateful=True))
    assert lines[0] == "relay == 403 Not him, stateful"
    assert lines[1] == "  message   INVITE sip:bob@example.com"
    assert lines[2].startswith("  decided   relay, by to_registered_contacts (")
    assert "  after     KSR.registrar.lookup('location') -> 1" in lines
    assert len(lines) <= 8
