"""The laboratory can tell a call that works from one that does not."""

import time
from pathlib import Path

import pytest

from kemi.deadline import DeadlineError
from kemi.lab import FULL_CONE, PORT_RESTRICTED, RESTRICTED, SYMMETRIC
from kemi.lab.errors import LabError
from kemi.lab.event import Event
from kemi.lab.lab import Lab
from kemi.lab.result import RESULT_FILE, CallResult
from kemi.lab.scenario import nat_call


def test_a_call_across_two_symmetric_nats_is_heard_on_both_sides(run_dir: Path) -> None:
    events: list[Event] = []
    result = nat_call(run_dir, SYMMETRIC, SYMMETRIC, seconds=2, ended_by="callee", on_event=events.append)
    assert result.problem == ""
    assert [(heard.listener, heard.speaker, heard.seconds >= 2) for heard in result.heard] == [
        ("alice", "bob", True),
        ("bob", "alice", True),
    ]
    assert CallResult.from_json((run_dir / RESULT_FILE).read_text()) == result
    assert all(path.stat().st_size > 10_000 for path in result.captures.values())
    kinds = [event.kind for event in events]
    assert [kinds.count(kind) for kind in ("registered", "established", "heard", "ended")] == [2, 1, 2, 1]


def test_a_call_without_sound_is_noticed(lab: Lab) -> None:
    lab.kamailio()
    gateway = lab.gateway(PORT_RESTRICTED)
    alice, bob = lab.phone("alice", behind=gateway), lab.phone("bob", behind=lab.gateway(FULL_CONE))
    gateway.outside.namespace.nft(
        "table ip deaf { chain forward { type filter hook forward priority -1; udp sport 35000-36000 drop; }; }"
    )
    alice.register()
    bob.register()
    call = alice.call(bob)
    call.established()
    with pytest.raises(
        DeadlineError, match=r"for 10 RTP packets at 192\.168\.1\.2, found 0 \(capture: .*alice\.pcap"
    ):
        call.listen(0.2)
    assert call.heard_by(alice).packets == 0
    assert call.heard_by(bob).packets > 0


def test_two_phones_behind_one_gateway_call_each_other(lab: Lab) -> None:
    lab.kamailio()
    gateway = lab.gateway(RESTRICTED)
    alice, bob = lab.phone("alice", behind=gateway), lab.phone("bob", behind=gateway)
    alice.register()
    bob.register()
    call = alice.call(bob)
    call.established()
    call.listen(1)
    alice.hang_up()
    call.closed()
    assert min(call.heard_by(phone).seconds for phone in (alice, bob)) >= 0.9
    assert lab.relay.active_sessions() == 0


def test_hold_and_busy_and_cancel_are_at_hand(lab: Lab) -> None:
    lab.kamailio()
    alice, bob = lab.phone("alice"), lab.phone("bob", behind=lab.gateway(SYMMETRIC), auto_answer=False)
    alice.register()
    bob.register()

    call = alice.call(bob)
    call.ringing()
    bob.answer()
    call.established()
    call.listen(0.5)
    alice.hold()
    held = time.time()
    alice.resume()
    call.listen(1.5)
    assert call.heard_by(bob, since=held).seconds > 0.4
    bob.hang_up()
    call.closed()

    call = alice.call(bob)
    call.ringing()
    bob.hang_up()
    assert call.failed() == "486 Rejected"

    call = alice.call(bob)
    call.ringing()
    alice.hang_up()
    call.closed()
    assert lab.relay.active_sessions() == 0


def test_a_phone_with_a_wrong_password_does_not_register(lab: Lab) -> None:
    lab.kamailio()
    alice = lab.phone("alice", password="wrong")
    with pytest.raises((LabError, DeadlineError), match=r"phone alice: .*REGISTER"):
        alice.register(seconds=1)
    assert lab.server.contacts("alice") == []


def test_a_server_that_does_not_start_shows_its_log(lab: Lab, tmp_path: Path) -> None:
    cfg = tmp_path / "kamailio.cfg"
    cfg.write_text("#!KAMAILIO\nno such directive\n")
    with pytest.raises(
        LabError, match=r"kamailio ended with exit status \d+; .*kamailio\.log:\n(.*\n)*.*parse error"
    ):
        lab.kamailio(cfg=cfg)
