"""The media relay in calls across NATs (WITH_NAT): every offer and answer, and no session left behind."""

from __future__ import annotations

import re
import socket

import pytest

from kemi.testing.builders import sdp
from kemi.testing.client import Client
from kemi.testing.dialog import Dialog, call, hang_up
from kemi.testing.message import Message
from kemi.testing.relay import Relay
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers

PHONE_PORT = 4000  # what the phones' SDP names
OFFER, ANSWER = sdp("10.0.0.2", PHONE_PORT), sdp("127.0.0.3", PHONE_PORT)
RTP_PACKET = b"\x80\x08" + bytes(10) + b"\xd5" * 160


@pytest.fixture(scope="module")
def server(start_shared: Servers, relay: Relay, profile: str) -> KamailioServer:
    return start_shared("WITH_NAT", relay=relay, settings=f"profile: {profile}\n")


@pytest.fixture(autouse=True)
def no_sessions(relay: Relay) -> None:
    """Each test begins with a relay that has nothing to do."""
    relay.ask("X")
    assert relay.sessions() == 0


@pytest.fixture
def alice(nated_alice: Client) -> Client:
    return nated_alice


def media(message: Message) -> tuple[str, int]:
    """Address and port that the SDP names."""
    address = re.search(r"^c=IN IP4 (\S+)", message.body, re.MULTILINE)
    port = re.search(r"^m=audio (\d+) ", message.body, re.MULTILINE)
    assert address, f"expected an address in the SDP:\n{message}"
    assert port, f"expected a port in the SDP:\n{message}"
    return address[1], int(port[1])


def is_relayed(message: Message) -> bool:
    address, port = media(message)
    return address == "127.0.0.1" and port != PHONE_PORT


# -- offers and answers


def test_offer_and_answer_name_the_relay(alice: Client, bob: Client, relay: Relay) -> None:
    alice.invite(bob.uri, body=OFFER)
    came = bob.expect("INVITE")
    assert is_relayed(came)
    bob.reply(came, 200, body=ANSWER)
    accepted = alice.expect(200)
    assert is_relayed(accepted)
    assert media(accepted) != media(came)
    assert relay.sessions() == 1


def test_a_call_without_a_nat_is_not_relayed(server: KamailioServer, bob: Client, relay: Relay) -> None:
    with Client(server, "carol", address="127.0.0.4") as carol:
        call(carol, bob)
        assert relay.sessions() == 0


def test_a_late_offer_and_the_answer_in_the_ack_name_the_relay(alice: Client, bob: Client) -> None:
    # RFC 3261, section 13.2.1
    invite = alice.invite(bob.uri, body="")
    bob.reply(bob.expect("INVITE"), 200, body=ANSWER)
    offered = alice.expect(200)
    assert is_relayed(offered)
    Dialog.of_caller(alice, invite, offered).send("ACK", body=OFFER)
    assert is_relayed(bob.expect("ACK"))


def test_early_media_names_the_relay(alice: Client, bob: Client, relay: Relay) -> None:
    alice.invite(bob.uri, body=OFFER)
    came = bob.expect("INVITE")
    bob.reply(came, 183, body=ANSWER)
    early = alice.expect(183)
    assert is_relayed(early)
    bob.reply(came, 200, body=ANSWER)
    assert media(alice.expect(200)) == media(early)
    assert relay.sessions() == 1


def test_an_offer_in_prack_names_the_relay(profile: str, alice: Client, bob: Client) -> None:
    # RFC 3262, section 5. The stock configuration lets it pass as it is.
    invite = alice.invite(bob.uri, body=OFFER, headers={"Supported": "100rel"})
    came = bob.expect("INVITE")
    bob.reply(came, 183, body=ANSWER, headers={"Require": "100rel", "RSeq": "1"})
    early = alice.expect(183)
    Dialog.of_caller(alice, invite, early).send("PRACK", body=OFFER, headers={"RAck": "1 1 INVITE"})
    acknowledged = bob.expect("PRACK")
    bob.reply(acknowledged, 200, body=ANSWER)
    expected = profile == "default"
    assert is_relayed(acknowledged) is expected
    assert is_relayed(alice.expect(200)) is expected


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("from_callee", [False, True])
def test_a_new_offer_names_the_relay(alice: Client, bob: Client, method: str, from_callee: bool) -> None:
    calling, called = call(alice, bob)
    side, peer = (called, alice) if from_callee else (calling, bob)
    offer, answer = (ANSWER, OFFER) if from_callee else (OFFER, ANSWER)
    side.send(method, body=f"{offer}a=sendonly\r\n")
    came = peer.expect(method)
    assert is_relayed(came)
    peer.reply(came, 200, body=answer)
    assert is_relayed(side.client.expect(200))


@pytest.mark.parametrize(("address", "believed"), [("127.0.0.22", True), ("10.0.0.2", False)])
def test_the_relay_believes_a_public_address_and_no_private_one(
    alice: Client, bob: Client, address: str, believed: bool
) -> None:
    # Before the caller's first packet the relay knows where to send from its SDP (flags cor) or, where that holds a
    # private address, from where the INVITE came from (co).
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as at_source,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as at_callee,
    ):
        at_callee.bind((bob.address, 0))
        elsewhere.bind(("127.0.0.22", 0))
        port = elsewhere.getsockname()[1]
        at_source.bind((alice.address, port))
        alice.invite(bob.uri, body=sdp(address, port))
        came = bob.expect("INVITE")
        bob.reply(came, 200, body=sdp(bob.address, at_callee.getsockname()[1]))
        alice.expect(200)
        at_callee.sendto(RTP_PACKET, media(came))
        hears, hears_nothing = (elsewhere, at_source) if believed else (at_source, elsewhere)
        hears.settimeout(3)
        assert hears.recv(2048) == RTP_PACKET
        hears_nothing.setblocking(False)
        with pytest.raises(BlockingIOError):
            hears_nothing.recv(2048)


# -- the end of a call is the end of its session


@pytest.mark.parametrize("from_callee", [False, True])
def test_a_bye_ends_the_session(alice: Client, bob: Client, relay: Relay, from_callee: bool) -> None:
    calling, called = call(alice, bob)
    assert relay.sessions() == 1
    if from_callee:
        hang_up(called, calling)
    else:
        hang_up(calling, called)
    assert relay.sessions() == 0


@pytest.mark.parametrize("status", [302, 404, 486, 603])
def test_a_refused_call_ends_the_session(alice: Client, bob: Client, relay: Relay, status: int) -> None:
    invite = alice.invite(bob.uri, body=OFFER)
    came = bob.expect("INVITE")
    assert relay.sessions() == 1
    bob.reply(came, status)
    assert alice.final(invite).status == status
    assert relay.sessions() == 0


def test_a_cancelled_call_ends_the_session(alice: Client, bob: Client, relay: Relay) -> None:
    invite = alice.invite(bob.uri, body=OFFER)
    came = bob.expect("INVITE")
    bob.reply(came, 183, body=ANSWER)
    alice.expect(183)
    assert relay.sessions() == 1
    alice.cancel(invite)
    bob.reply(bob.expect("CANCEL"), 200)
    bob.reply(came, 487)
    assert alice.final(invite).status == 487
    assert relay.sessions() == 0


def test_a_call_that_nobody_answers_ends_the_session(
    server: KamailioServer, alice: Client, bob: Client, relay: Relay
) -> None:
    server.rpc("cfg.set_now_int", "tm", "fr_timer", 300)
    try:
        invite = alice.invite(bob.uri, body=OFFER)
        bob.expect("INVITE")
        assert relay.sessions() == 1
        assert alice.final(invite).status == 408
    finally:
        server.rpc("cfg.set_now_int", "tm", "fr_timer", 30000)
    assert relay.sessions() == 0


def test_a_refused_change_leaves_the_call_its_session(
    profile: str, alice: Client, bob: Client, relay: Relay
) -> None:
    # RFC 3261, section 14.1. The stock configuration ends the session: the call goes on in silence.
    calling, called = call(alice, bob)
    change = calling.send("INVITE", body=OFFER)
    bob.reply(bob.expect("INVITE"), 488)
    assert alice.final(change).status == 488
    bob.expect("ACK")
    assert relay.sessions() == (1 if profile == "default" else 0)
    hang_up(calling, called)
    assert relay.sessions() == 0


def test_a_call_to_two_phones_keeps_the_session_of_the_one_that_answered(
    server: KamailioServer, alice: Client, bob: Client, relay: Relay
) -> None:
    with Client(server, "bob", address="127.0.0.5") as desk:
        assert desk.register().status == 200
        invite = alice.invite(bob.uri, body=OFFER)
        rings = bob.expect("INVITE")
        came = desk.expect("INVITE")
        assert is_relayed(rings)
        assert is_relayed(came)
        bob.reply(rings, 180)
        alice.expect(180)
        called = Dialog.of_callee(desk, came, desk.reply(came, 200, body=ANSWER))
        accepted = alice.expect(200)
        assert is_relayed(accepted)
        bob.reply(bob.expect("CANCEL"), 200)
        bob.reply(rings, 487)
        bob.expect("ACK")
        assert relay.sessions() == 1
        hang_up(called, Dialog.of_caller(alice, invite, accepted))
        assert relay.sessions() == 0
