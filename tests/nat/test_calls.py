"""Calls beyond the grid: one gateway for both, public phones, calls without an answer, hold and resume."""

import contextlib
import time
from collections.abc import Iterator

import pytest

from kemi.lab.call import Call
from kemi.lab.lab import Lab
from kemi.lab.nat import FULL_CONE, PORT_RESTRICTED, PRESETS, SYMMETRIC, Nat
from kemi.lab.phone import Phone
from kemi.lab.sip import media_addresses
from tests.nat.conversation import (
    MARGIN,
    SECONDS,
    phone,
    require_heard,
    require_nothing_left,
    require_silence,
    talk,
)

# -- who calls whom


def test_phones_behind_the_same_nat_hear_each_other_through_the_relay(lab: Lab) -> None:
    """Their way to the same public address and back is closed (no hairpinning), whatever the kind of NAT."""
    lab.kamailio()
    lab.trust(*PRESETS)
    calls = [_call_within(lab, number, nat) for number, nat in enumerate(PRESETS)]
    for call in calls:
        call.established()
    # In the same network they could hear each other without us: the sound has to pass the relay.
    assert lab.relay.active_sessions() == len(calls)
    for call in calls:
        call.listen(SECONDS + MARGIN)
    for number, call in enumerate(calls):
        (call.callee if number % 2 else call.caller).hang_up()
        call.closed()
        require_heard(call)
    require_nothing_left(lab)


def _call_within(lab: Lab, number: int, nat: Nat) -> Call:
    gateway = lab.gateway(nat)
    caller = lab.phone(f"alice{number}", behind=gateway)
    callee = lab.phone(f"bob{number}", behind=gateway)
    caller.register()
    callee.register()
    return caller.call(callee)


def test_a_public_phone_and_one_behind_a_nat_call_each_other(lab: Lab) -> None:
    """Each kind of NAT calls out to a public phone, and is called by one; caller and callee hang up in turns."""
    lab.kamailio()
    calls = []
    for number, nat in enumerate(PRESETS):
        calls.append(phone(lab, f"out{number}", nat).call(phone(lab, f"called{number}", None)))
        calls.append(phone(lab, f"caller{number}", None).call(phone(lab, f"in{number}", nat)))
    for call in calls:
        call.established()
    assert lab.relay.active_sessions() == len(calls)
    for call in calls:
        call.listen(SECONDS + MARGIN)
    for number, call in enumerate(calls):
        (call.caller if number % 4 < 2 else call.callee).hang_up()
        call.closed()
        require_heard(call)
    require_nothing_left(lab)


def test_public_phones_talk_without_the_relay(lab: Lab) -> None:
    lab.kamailio()
    calls = [phone(lab, f"alice{number}", None).call(phone(lab, f"bob{number}", None)) for number in range(2)]
    for call in calls:
        call.established()
    assert lab.relay.active_sessions() == 0
    for call in calls:
        call.listen(SECONDS + MARGIN)
    calls[0].caller.hang_up()
    calls[1].callee.hang_up()
    for call in calls:
        call.closed()
        require_heard(call)
    require_nothing_left(lab)


# -- calls that nobody answers


@pytest.fixture
def alice(lab: Lab) -> Phone:
    """Behind a port-restricted NAT, and the server runs."""
    lab.kamailio()
    return phone(lab, "alice", PORT_RESTRICTED)


@pytest.fixture
def bob(lab: Lab, alice: Phone) -> Phone:
    """Behind a symmetric NAT, and in no hurry to answer."""
    return phone(lab, "bob", SYMMETRIC, auto_answer=False)


def test_a_caller_who_gives_up_stops_the_ringing(lab: Lab, alice: Phone, bob: Phone) -> None:
    call = alice.call(bob)
    call.ringing()
    assert lab.relay.active_sessions() == 1
    alice.hang_up()
    call.closed()
    require_nothing_left(lab)
    assert [cancel.status for cancel in bob.sent("CANCEL")] == [200]
    assert _final_answers(alice) == [487]


def test_a_callee_who_is_busy_releases_the_relay(lab: Lab, alice: Phone, bob: Phone) -> None:
    call = alice.call(bob)
    call.ringing()
    assert lab.relay.active_sessions() == 1
    bob.hang_up()
    assert call.failed().startswith("486")
    require_nothing_left(lab)
    assert _final_answers(alice) == [486]


def test_a_callee_who_does_not_answer_stops_ringing(lab: Lab, alice: Phone, bob: Phone) -> None:
    lab.server.rpc("cfg.set_now_int", "tm", "fr_inv_timer", 2000)  # two minutes in kamailio.cfg
    call = alice.call(bob)
    call.ringing()
    assert lab.relay.active_sessions() == 1
    assert call.failed().startswith("408")
    call.closed()
    require_nothing_left(lab)
    assert [cancel.status for cancel in bob.sent("CANCEL")] == [200]
    assert _final_answers(alice) == [408]


def test_a_callee_who_has_not_logged_in_is_not_found(lab: Lab, alice: Phone) -> None:
    absent = lab.phone("bob", behind=lab.gateway(FULL_CONE))
    assert alice.call(absent).failed().startswith("404")
    require_nothing_left(lab)
    assert _final_answers(alice) == [404]
    assert absent.received("INVITE") == []


def _final_answers(caller: Phone) -> list[int]:
    """Status codes with which the caller's INVITEs ended, other than the challenges for a password."""
    codes = (reply.status for reply in caller.received("INVITE"))
    return [code for code in codes if code >= 200 and code != 407]


# -- re-INVITE


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize(
    ("caller_nat", "callee_nat"),
    [
        pytest.param(SYMMETRIC, None, id="symmetric calls public"),
        pytest.param(None, SYMMETRIC, id="public calls symmetric"),
        pytest.param(PORT_RESTRICTED, SYMMETRIC, id="port-restricted calls symmetric"),
    ],
)
def test_hold_and_resume_from_either_side(
    lab: Lab, caller_nat: Nat | None, callee_nat: Nat | None, side: str
) -> None:
    """The one who holds may be public: that a NAT is involved is then known from the dialog's route alone."""
    lab.kamailio()
    alice, bob = phone(lab, "alice", caller_nat), phone(lab, "bob", callee_nat)
    call = alice.call(bob)
    call.established()
    call.listen(1)
    holder, held = (alice, bob) if side == "caller" else (bob, alice)

    with _offered(lab, holder, held, "sendonly", "recvonly"):
        holder.hold()
    require_silence(call)
    with _offered(lab, holder, held, "sendrecv", "sendrecv"):
        holder.resume()
    talk(call)

    held.hang_up()
    call.closed()
    require_nothing_left(lab)


def test_many_reinvites_keep_one_relay_session_and_the_sound(lab: Lab) -> None:
    lab.kamailio()
    alice, bob = phone(lab, "alice", SYMMETRIC), phone(lab, "bob", FULL_CONE)
    call = alice.call(bob)
    call.established()
    for holder, held in [(alice, bob), (bob, alice)] * 3:
        with _offered(lab, holder, held, "sendrecv", "sendrecv"):
            holder.reinvite()
        call.listen_further(0.5)
    talk(call)
    ports = {port for one in (alice, bob) for port in _relay_ports(one)}
    assert len(ports) == 2, f"one session has a port for each side, the phones were told of {sorted(ports)}"
    bob.hang_up()
    call.closed()
    require_nothing_left(lab)


@contextlib.contextmanager
def _offered(lab: Lab, offerer: Phone, answerer: Phone, offer: str, answer: str) -> Iterator[None]:
    """Within the block a re-INVITE is sent; fail unless offer and answer go through the relay, in the same session."""
    began, mark = time.time(), offerer.mark()
    yield
    offerer.wait_for("CALL_REMOTE_SDP", seconds=5, since=mark)
    [invite] = [one for one in answerer.received("INVITE", since=began) if one.is_request]
    [ok] = [one for one in offerer.received("INVITE", since=began) if one.status == 200]
    for message, direction in ((invite, offer), (ok, answer)):
        assert f"a={direction}" in message.body_lines
        assert media_addresses(message) == [lab.relay.host.address]
    assert lab.relay.active_sessions() == 1


def _relay_ports(listener: Phone) -> set[int]:
    """Ports to which a phone was asked to send its sound, in all offers and answers that it has seen."""
    lines = (line for one in listener.received("INVITE") for line in one.body_lines)
    return {int(line.split()[1]) for line in lines if line.startswith("m=audio")}
