"""Other ways to relay media: rtpengine (WITH_RTPENGINE), and for every call (WITH_RTPRELAY)."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from kemi.testing.builders import sdp
from kemi.testing.client import Client
from kemi.testing.dialog import Dialog, call, hang_up
from kemi.testing.message import Message
from kemi.testing.process import LOOPBACK, free_port
from kemi.testing.relay import Relay
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from tests.server.rtpengine import RtpEngine

PHONE_PORT = 4000  # what the phones' SDP names
OFFER, ANSWER = sdp("10.0.0.2", PHONE_PORT), sdp("127.0.0.3", PHONE_PORT)
RTP_PACKET = b"\x80\x08" + bytes(10) + b"\xd5" * 160


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtpEngine]:
    with RtpEngine(tmp_path_factory.mktemp("rtpengine")) as engine:
        yield engine


@pytest.fixture(scope="module")
def relay(start_shared: Servers) -> Relay:
    return start_shared.relay()


@pytest.fixture(scope="module")
def server(start_shared: Servers, engine: RtpEngine) -> KamailioServer:
    return start_shared("WITH_NAT", "WITH_RTPENGINE", RTPENGINE_SOCK=engine.control)


@pytest.fixture
def alice(server: KamailioServer) -> Iterator[Client]:
    """Behind a NAT."""
    with Client(server, "alice", address="127.0.0.2", contact_host="10.0.0.2", contact_port=5060) as client:
        yield client


@pytest.fixture
def bob(server: KamailioServer) -> Iterator[Client]:
    """Registered, with a public address."""
    with Client(server, "bob", address="127.0.0.3") as client:
        assert client.register().status == 200
        yield client
    server.rpc("ul.rm", "location", "bob")


def media(message: Message) -> tuple[str, int]:
    """Address and port that the SDP names."""
    address = re.search(r"^c=IN IP4 (\S+)", message.body, re.MULTILINE)
    port = re.search(r"^m=audio (\d+) ", message.body, re.MULTILINE)
    assert address, f"expected an address in the SDP:\n{message}"
    assert port, f"expected a port in the SDP:\n{message}"
    return address[1], int(port[1])


def is_relayed(message: Message) -> bool:
    address, port = media(message)
    return address == LOOPBACK and port != PHONE_PORT


# -- rtpengine


@pytest.mark.parametrize("from_callee", [False, True])
def test_a_call_across_a_nat_goes_through_rtpengine(
    alice: Client, bob: Client, engine: RtpEngine, from_callee: bool
) -> None:
    invite = alice.invite(bob.uri, body=OFFER)
    came = bob.expect("INVITE")
    assert is_relayed(came)
    assert "10.0.0.2" not in came.body  # in o= neither
    sent = bob.reply(came, 200, body=ANSWER)
    accepted = alice.expect(200)
    assert is_relayed(accepted)
    assert media(accepted) != media(came)
    calling, called = Dialog.of_caller(alice, invite, accepted), Dialog.of_callee(bob, came, sent)
    calling.send("ACK")
    bob.expect("ACK")
    assert engine.relays(calling.call_id)
    hang_up(*((called, calling) if from_callee else (calling, called)))
    assert not engine.relays(calling.call_id)


def test_a_call_without_a_nat_does_not(server: KamailioServer, bob: Client, engine: RtpEngine) -> None:
    with Client(server, "carol", address="127.0.0.4") as carol:
        calling, called = call(carol, bob)
        assert not engine.relays(calling.call_id)
        hang_up(calling, called)


@pytest.mark.parametrize("status", [302, 486])
def test_rtpengine_forgets_a_refused_call(alice: Client, bob: Client, engine: RtpEngine, status: int) -> None:
    invite = alice.invite(bob.uri, body=OFFER)
    came = bob.expect("INVITE")
    call_id = invite.header("Call-ID") or ""
    assert engine.relays(call_id)
    bob.reply(came, status)
    assert alice.final(invite).status == status
    assert not engine.relays(call_id)


def test_rtpengine_takes_a_late_offer(alice: Client, bob: Client, engine: RtpEngine) -> None:
    # RFC 3261, section 13.2.1
    invite = alice.invite(bob.uri, body="")
    came = bob.expect("INVITE")
    sent = bob.reply(came, 200, body=ANSWER)
    offered = alice.expect(200)
    assert is_relayed(offered)
    calling = Dialog.of_caller(alice, invite, offered)
    calling.send("ACK", body=OFFER)
    assert is_relayed(bob.expect("ACK"))
    hang_up(Dialog.of_callee(bob, came, sent), calling)
    assert not engine.relays(calling.call_id)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_rtpengine_takes_a_new_offer(alice: Client, bob: Client, engine: RtpEngine, method: str) -> None:
    calling, called = call(alice, bob)
    calling.send(method, body=f"{OFFER}a=sendonly\r\n")
    came = bob.expect(method)
    assert is_relayed(came)
    bob.reply(came, 200, body=ANSWER)
    assert is_relayed(alice.expect(200))
    hang_up(calling, called)
    assert not engine.relays(calling.call_id)


@pytest.mark.parametrize(("address", "believed"), [("127.0.0.22", True), ("10.0.0.2", False)])
def test_rtpengine_believes_a_public_address_and_no_private_one(
    alice: Client, bob: Client, address: str, believed: bool
) -> None:
    # It sends to the address in the SDP, unless told SIP-source-address.
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as at_source,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as at_callee,
    ):
        at_callee.bind((bob.address, 0))
        elsewhere.bind(("127.0.0.22", 0))
        port = elsewhere.getsockname()[1]
        at_source.bind((alice.address, port))
        invite = alice.invite(bob.uri, body=sdp(address, port))
        came = bob.expect("INVITE")
        sent = bob.reply(came, 200, body=sdp(bob.address, at_callee.getsockname()[1]))
        calling = Dialog.of_caller(alice, invite, alice.expect(200))
        at_callee.sendto(RTP_PACKET, media(came))
        hears, hears_nothing = (elsewhere, at_source) if believed else (at_source, elsewhere)
        hears.settimeout(3)
        assert hears.recv(2048) == RTP_PACKET
        hears_nothing.setblocking(False)
        with pytest.raises(BlockingIOError):
            hears_nothing.recv(2048)
        hang_up(calling, Dialog.of_callee(bob, came, sent))


def test_a_silent_rtpengine_is_asked_as_often_as_the_configuration_says(start: Servers) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((LOOPBACK, 0))
        control = f"udp:{LOOPBACK}:{silent.getsockname()[1]}"
        server = start("WITH_NAT", "WITH_RTPENGINE", CHILDREN=1, RTPENGINE_SOCK=control, RTPENGINE_RETR=1)
        with (
            Client(server, "alice", address="127.0.0.2", contact_host="10.0.0.2") as alice,
            Client(server, "bob", address="127.0.0.3") as bob,
        ):
            assert bob.register().status == 200
            # A second for a ping at the start, another for this call; five each by Kamailio's default.
            assert alice.final(alice.invite(bob.uri, body=OFFER), seconds=4).status == 503


@pytest.mark.parametrize("policy", ["reject", "pass"])
def test_a_call_while_no_rtpengine_answers(start: Servers, policy: str) -> None:
    nobody = f"udp:{LOOPBACK}:{free_port()}"
    settings = f"media:\n  unavailable: {policy}\n"
    server = start("WITH_NAT", "WITH_RTPENGINE", settings=settings, RTPENGINE_SOCK=nobody)
    with (
        Client(server, "alice", address="127.0.0.2", contact_host="10.0.0.2", contact_port=5060) as alice,
        Client(server, "bob", address="127.0.0.3") as bob,
    ):
        assert bob.register().status == 200
        invite = alice.invite(bob.uri, body=OFFER)
        if policy == "reject":
            answer = alice.final(invite)
            assert (answer.status, answer.reason) == (503, "No media relay")
            assert bob.unread() == []
        else:
            came = bob.expect("INVITE")
            assert came.body == OFFER
            sent = bob.reply(came, 200, body=ANSWER)
            accepted = alice.expect(200)
            assert accepted.body == ANSWER
            calling = Dialog.of_caller(alice, invite, accepted)
            calling.send("ACK")
            bob.expect("ACK")
            hang_up(calling, Dialog.of_callee(bob, came, sent))
        server.wait_for_log(
            f"no media relay answers: call {invite.header('Call-ID')} (INVITE from 127.0.0.2:"
        )


# -- every call


@pytest.mark.parametrize("kind", ["RTPProxy", "rtpengine"])
def test_calls_without_a_nat_may_be_relayed_too(
    start: Servers, relay: Relay, engine: RtpEngine, kind: str
) -> None:
    if kind == "rtpengine":
        server = start("WITH_NAT", "WITH_RTPRELAY", "WITH_RTPENGINE", RTPENGINE_SOCK=engine.control)
    else:
        server = start("WITH_NAT", "WITH_RTPRELAY", relay=relay)
    with (
        Client(server, "carol", address="127.0.0.4") as carol,
        Client(server, "bob", address="127.0.0.3") as bob,
    ):
        assert bob.register().status == 200
        invite = carol.invite(bob.uri, body=sdp(carol.address, PHONE_PORT))
        call_id = invite.header("Call-ID") or ""

        def relayed() -> bool:
            return engine.relays(call_id) if kind == "rtpengine" else relay.sessions() == 1

        came = bob.expect("INVITE")
        assert is_relayed(came)
        sent = bob.reply(came, 200, body=ANSWER)
        accepted = carol.expect(200)
        assert is_relayed(accepted)
        calling, called = Dialog.of_caller(carol, invite, accepted), Dialog.of_callee(bob, came, sent)
        calling.send("ACK")
        bob.expect("ACK")
        assert relayed()
        called.send("INVITE", body=ANSWER)
        again = carol.expect("INVITE")
        assert is_relayed(again)
        carol.reply(again, 200, body=sdp(carol.address, PHONE_PORT))
        assert is_relayed(bob.expect(200))
        called.send("ACK")
        carol.expect("ACK")
        hang_up(calling, called)
        assert not relayed()
