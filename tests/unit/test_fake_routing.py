"""The fake KSR's state: transactions and branches, location, credentials, routes, media."""

from __future__ import annotations

import KSR
import pytest

from kemi.testing.builders import PRIVATE, ack, bye, cancel, in_dialog, invite, register, reply, request, sdp
from kemi.testing.fake_auth import EXPIRED_NONCE, NONCE, authorize
from kemi.testing.ksr import FakeKSR
from kemi.testing.message import Message
from kemi.testing.state import Contact

BOB = "sip:bob@192.168.7.20:5060"
HOLE = "sip:198.51.100.20:33333"


class Recorder:
    """A handler with a branch callback that does as it is told."""

    def __init__(self, ksr: FakeKSR, drop: str = "") -> None:
        self.ksr = ksr
        self.drop = drop
        self.seen: list[str] = []

    def on_branch(self, _message: object) -> int:
        uri = str(KSR.pv.get("$ru"))
        self.seen.append(uri)
        KSR.rr.add_rr_param(";nat=yes")
        KSR.hdr.append(f"X-Branch: {uri}\r\n")
        if uri == self.drop:
            KSR.set_drop()
        return 1


def test_a_relayed_request_is_kept_as_it_leaves(ksr: FakeKSR) -> None:
    ksr.receive(invite("bob"))
    KSR.setflag(5)
    KSR.hdr.append("X-A: 1\r\n")
    KSR.rr.add_rr_param(";nat=yes")
    KSR.rr.record_route()
    KSR.tm.t_on_reply("on_reply")
    assert KSR.tm.t_relay() == 1
    (relay,) = ksr.relayed
    assert relay.message.header("X-A") == "1"
    assert relay.message.header("Record-Route") == "<sip:203.0.113.1;lr;nat=yes>"
    assert (relay.destination, set(relay.flags), relay.on_reply) == ("sip:bob@example.com", {5}, "on_reply")


def test_the_branch_callback_runs_for_each_branch_and_changes_only_that(ksr: FakeKSR) -> None:
    ksr.handler = recorder = Recorder(ksr)
    ksr.location["bob"] = [Contact(BOB, HOLE, frozenset({6})), Contact("sip:bob@new")]
    ksr.receive(invite("bob"))
    KSR.registrar.lookup("location")
    KSR.rr.record_route()
    KSR.tm.t_on_branch("on_branch")
    KSR.tm.t_relay()
    oldest, newest = ksr.relayed
    assert recorder.seen == [BOB, "sip:bob@new"]
    assert (oldest.destination, set(oldest.branch_flags)) == (HOLE, {6})
    assert (newest.destination, newest.branch_flags) == ("sip:bob@new", frozenset())
    assert newest.message.header_values("X-Branch") == ["sip:bob@new"]
    assert (newest.message.header("Record-Route") or "").count("nat=yes") == 1


def test_a_request_whose_only_branch_is_dropped_is_not_relayed(ksr: FakeKSR) -> None:
    ksr.handler = Recorder(ksr, drop="sip:bob@example.com")
    ksr.receive(invite("bob"))
    KSR.tm.t_on_branch("on_branch")
    assert KSR.tm.t_relay() < 0
    assert ksr.relayed == []


def test_a_callback_that_the_handler_lacks_is_an_error(ksr: FakeKSR) -> None:
    ksr.handler = Recorder(ksr)
    ksr.receive(invite("bob"))
    with pytest.raises(AttributeError, match="failure_route 'on_failure': the handler has no such callback"):
        KSR.tm.t_on_failure("on_failure")
    ksr.misuse.clear()


def test_transactions_are_matched_as_rfc_3261_says(ksr: FakeKSR) -> None:
    call = invite("bob")
    follow_ups = {
        "new": invite(),
        "again": call,
        "cancel": cancel(call),
        "ack": ack(call),
        "stray": cancel(invite()),
    }
    ksr.receive(call)
    assert KSR.tm.t_check_trans() == -1
    KSR.tm.t_relay()
    codes = {}
    for label, message in follow_ups.items():
        ksr.receive(message)
        codes[label] = int(KSR.tm.t_check_trans())
    assert codes == {"new": -1, "again": 0, "cancel": 1, "ack": 0, "stray": -1}


def test_an_ack_of_a_success_belongs_to_its_invite_by_call_and_cseq(ksr: FakeKSR) -> None:
    call = invite("bob")
    ksr.receive(call)
    KSR.tm.t_relay()
    ksr.receive(Message.parse(str(ack(call)).replace(call.via[2], "z9hG4bK-other")))
    assert KSR.tm.t_check_trans() == 1


def test_a_second_stateful_answer_is_not_sent(ksr: FakeKSR) -> None:
    ksr.receive(invite())
    KSR.tm.t_newtran()
    assert KSR.sl.send_reply(480, "Busy") == 1
    assert KSR.sl.send_reply(500, "Error") == -1
    assert [(answer.code, answer.stateful) for answer in ksr.replies] == [(480, True)]


def test_a_reply_knows_the_flags_of_its_branch_only_within_its_transaction(ksr: FakeKSR) -> None:
    call = invite("bob")
    ksr.receive(call)
    KSR.setflag(5)
    KSR.setbflag(6)
    KSR.tm.t_relay()
    ksr.receive(reply(200, call))
    assert not KSR.isflagset(5)
    ksr.receive(reply(200, call), in_transaction=True)
    assert KSR.isflagset(5)
    assert KSR.isbflagset(6)
    assert KSR.tm.t_check_status("2..") == 1


def test_a_failure_has_the_status_of_the_best_reply(ksr: FakeKSR) -> None:
    ksr.receive(invite("bob"))
    KSR.tm.t_relay()
    ksr.fail(486, cancelled=True)
    assert KSR.tm.t_check_status("486|408") == 1
    assert KSR.tm.t_is_canceled() == 1
    assert KSR.tmx.t_is_failure_route() == 1


def test_a_failure_callback_sees_the_request_and_may_answer_or_relay_again(ksr: FakeKSR) -> None:
    call = invite("bob")
    ksr.receive(call)
    KSR.tm.t_relay()
    ksr.receive(reply(408, call))
    ksr.fail(408)
    assert KSR.is_INVITE()
    KSR.seturi("sip:voicemail@example.com")
    assert KSR.tm.t_relay() == 1
    assert [relay.destination for relay in ksr.relayed] == [
        "sip:bob@example.com",
        "sip:voicemail@example.com",
    ]
    ksr.fail(480)
    assert KSR.tm.t_reply(486, "Busy Here") == 1
    assert [answer.code for answer in ksr.replies] == [486]


def test_a_failure_needs_a_transaction(ksr: FakeKSR) -> None:
    ksr.receive(invite("bob"))
    with pytest.raises(RuntimeError, match="no transaction to fail"):
        ksr.fail(486)


def test_who_registers_from_behind_a_nat_is_called_through_it(ksr: FakeKSR) -> None:
    ksr.receive(register("bob", nated=True))
    KSR.nathelper.fix_nated_register()
    KSR.setbflag(6)
    assert KSR.registrar.save("location", 0) == 1
    assert ksr.replies[0].code == 200
    assert 'received="sip:192.0.2.10:40000"' in ksr.replies[0].headers[0]
    ksr.receive(invite("bob"))
    assert KSR.registrar.lookup("location") == 1
    assert KSR.pv.get("$ru") == f"sip:bob@{PRIVATE}:5060"
    assert KSR.pv.get("$du") == "sip:192.0.2.10:40000"
    assert KSR.isbflagset(6)


def test_expiry_zero_takes_the_contact_out(ksr: FakeKSR) -> None:
    ksr.receive(register("bob"))
    KSR.registrar.save("location", 0)
    ksr.receive(register("bob", expires=0))
    assert KSR.registrar.save("location", 0) == 3
    assert ksr.location["bob"] == []


LOGINS = {
    "right": ("alice", "secret", NONCE, 1),
    "wrong password": ("alice", "guess", NONCE, -2),
    "unknown user": ("mallory", "secret", NONCE, -3),
    "expired nonce": ("alice", "secret", EXPIRED_NONCE, -4),
    "nonce of another server": ("alice", "secret", "other", -1),
    "somebody else's address": ("bob", "hunter2", NONCE, -8),
}


@pytest.mark.parametrize("label", LOGINS)
def test_digests_are_really_checked(ksr: FakeKSR, label: str) -> None:
    user, password, nonce, expected = LOGINS[label]
    ksr.subscribers = {"alice": "secret", "bob": "hunter2"}
    ksr.receive(register("alice"))
    assert KSR.auth_db.auth_check("example.com", "subscriber", 1) == -5
    KSR.auth.auth_challenge("example.com", 0)
    assert ksr.replies[0].code == 401
    ksr.receive(authorize(register("alice"), user, password, nonce=nonce))
    assert KSR.auth_db.auth_check("example.com", "subscriber", 1) == expected


def test_credentials_leave_with_nobody(ksr: FakeKSR) -> None:
    ksr.subscribers = {"alice": "secret"}
    ksr.nonces.add(NONCE)
    ksr.receive(authorize(invite(), "alice", "secret"))
    KSR.auth_db.auth_check("example.com", "subscriber", 1)
    assert KSR.auth.consume_credentials() == 1
    KSR.tm.t_relay()
    assert ksr.relayed[0].message.header("Proxy-Authorization") is None


def test_our_route_is_taken_off_and_the_next_is_followed(ksr: FakeKSR) -> None:
    ksr.receive(bye(route="<sip:203.0.113.1;lr;nat=yes>, <sip:198.51.100.7;lr>"))
    assert KSR.rr.loose_route() == 1
    assert KSR.rr.check_route_param("nat=yes") == 1
    KSR.tm.t_relay()
    (relay,) = ksr.relayed
    assert relay.message.header_values("Route") == ["<sip:198.51.100.7;lr>"]
    assert relay.destination == "sip:198.51.100.7;lr"


MEDIA = {
    "offer": (invite(), [("offer", "co")]),
    "late offer": (invite(with_sdp=False), []),
    "answer": (reply(200, body=sdp()), [("answer", "co")]),
    "early answer": (reply(183, body=sdp()), [("answer", "co")]),
    "ringing": (reply(180), []),
    "refusal": (reply(486), [("delete", "co")]),
    "answer in ACK": (in_dialog("ACK", body=sdp()), [("answer", "co")]),
    "bare ACK": (in_dialog("ACK"), []),
    "end": (bye(), [("delete", "co")]),
    "message": (request("MESSAGE", "sip:bob@example.com"), []),
}


@pytest.mark.parametrize("label", MEDIA)
def test_the_relay_is_asked_what_the_message_calls_for(ksr: FakeKSR, label: str) -> None:
    message, expected = MEDIA[label]
    ksr.receive(message)
    ksr.media_sessions.add(message.header("Call-ID") or "")
    code = KSR.rtpproxy.rtpproxy_manage("co")
    assert ksr.media == expected
    assert code == (1 if expected else -1)


def test_an_answer_without_an_offer_is_refused_by_the_relay(ksr: FakeKSR) -> None:
    ksr.receive(reply(200, body=sdp()))
    assert KSR.rtpproxy.rtpproxy_manage("co") == -1


def test_the_first_sdp_of_a_late_offer_is_the_offer(ksr: FakeKSR) -> None:
    call = invite(with_sdp=False)
    ksr.receive(call)
    KSR.tm.t_relay()
    ksr.receive(reply(200, call, body=sdp()), in_transaction=True)
    assert KSR.rtpproxy.rtpproxy_manage("co") == 1
    assert ksr.media == [("offer", "co")]
