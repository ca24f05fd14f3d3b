"""The media of calls through a cluster: relayed by the edge that a call comes in at, and by no other."""

from __future__ import annotations

import re
import socket
from contextlib import closing

import pytest

from kemi.testing.builders import sdp
from kemi.testing.client import Client
from kemi.testing.dialog import Dialog, call, hang_up
from kemi.testing.servers import database
from tests.server.cluster import EITHER_EDGE, USERS, Cluster, bob, cluster, invited, media_address, nated

__all__ = ["bob", "cluster"]  # fixtures


@EITHER_EDGE
def test_a_late_offer_is_relayed_too(cluster: Cluster, at: int, other: int) -> None:
    with (
        nated(cluster.edges[at], "alice", 2) as alice,
        cluster.registered(nated(cluster.edges[other], "bob", 3)) as bob,
    ):
        invite = invited(alice, bob, body="")
        alice.send(invite)
        came = bob.expect("INVITE")
        bob.reply(came, 200, body=sdp(bob.contact_host))
        accepted = alice.expect(200)
        assert media_address(accepted) == cluster.relay.address
        calling = Dialog.of_caller(alice, invite, accepted)
        calling.send("ACK", body=sdp(alice.contact_host))
        assert media_address(bob.expect("ACK")) == cluster.relay.address
        calling.send("BYE")
        bob.reply(bob.expect("BYE"), 200)
        alice.expect(200)
        cluster.relay.wait_for_sessions(0)


@pytest.mark.parametrize("by", ["answer", "offer"])
def test_sound_reaches_a_callee_who_has_not_sent_any_yet(cluster: Cluster, bob: Client, by: str) -> None:
    """Its edge knows the public address behind the private one in its SDP, and tells the edge that relays."""
    with (
        nated(cluster.edges[0], "alice") as alice,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as ear,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as mouth,
    ):
        ear.bind((bob.address, 0))
        ear.settimeout(3)
        mouth.bind((alice.address, 0))
        listening = re.sub(r"m=audio \d+", f"m=audio {ear.getsockname()[1]}", sdp(bob.contact_host))
        invite = invited(alice, bob)
        alice.send(invite)
        came = bob.expect("INVITE")
        sent = bob.reply(came, 200, body=listening if by == "answer" else sdp(bob.contact_host))
        told = alice.expect(200)
        calling, called = Dialog.of_caller(alice, invite, told), Dialog.of_callee(bob, came, sent)
        calling.send("ACK")
        bob.expect("ACK")
        if by == "offer":
            called.send("INVITE", body=listening)
            told = alice.expect("INVITE")
            alice.reply(told, 200, body=sdp(alice.contact_host))
            bob.expect(200)
            called.send("ACK")
            alice.expect("ACK")
        port = re.search(r"m=audio (\d+)", told.body)
        assert port
        mouth.sendto(bytes([0x80, 8]) + bytes(170), (cluster.relay.address, int(port[1])))
        assert len(ear.recv(2048)) == 172
        hang_up(calling, called)


@pytest.mark.parametrize("ending", ["cancelled", "busy"])
def test_a_call_that_comes_to_nothing_leaves_no_session(cluster: Cluster, bob: Client, ending: str) -> None:
    with nated(cluster.edges[0], "alice") as alice:
        invite = invited(alice, bob)
        alice.send(invite)
        came = bob.expect("INVITE")
        bob.reply(came, 180)
        alice.expect(180)
        assert cluster.relay.sessions() == 1
        if ending == "cancelled":
            alice.cancel(invite)
            alice.expect(200)
            bob.reply(bob.expect("CANCEL"), 200)
            bob.reply(came, 487)
        else:
            bob.reply(came, 486)
        assert alice.final(invite).status == (487 if ending == "cancelled" else 486)
        bob.expect("ACK")
        cluster.relay.wait_for_sessions(0)


def test_the_phones_of_one_user_may_be_at_different_edges(cluster: Cluster) -> None:
    """The second one gives up, which must not end the relay's session of the first."""
    with nated(cluster.edges[0], "alice") as alice, nated(cluster.edges[0], "bob", 3) as desk:
        assert desk.register(password=USERS["bob"]).status == 200
        with nated(cluster.edges[1], "bob", 4) as mobile:
            assert mobile.register(password=USERS["bob"]).status == 200
            cluster.wait_for_contacts("bob", 2)
            invite = invited(alice, desk)
            alice.send(invite)
            at_desk, at_mobile = desk.expect("INVITE"), mobile.expect("INVITE")
            mobile.reply(at_mobile, 486)
            mobile.expect("ACK")
            desk.reply(at_desk, 200, body=sdp(desk.contact_host))
            accepted = alice.expect(200)
            assert cluster.relay.sessions() == 1
            calling = Dialog.of_caller(alice, invite, accepted)
            calling.send("ACK")
            desk.expect("ACK")
            calling.send("BYE")
            desk.reply(desk.expect("BYE"), 200)
            alice.expect(200)
            assert desk.register(contact="*", expires=0, password=USERS["bob"]).status == 200
    cluster.wait_for_contacts("bob", 0)


@pytest.mark.parametrize("callee_is_public", [True, False])
def test_the_call_of_a_public_phone_is_relayed_too(cluster: Cluster, callee_is_public: bool) -> None:
    """Its edge does not know what the callee, or one of several callees, is behind."""
    callee = (
        Client(cluster.edges[1], "bob", address="127.0.0.3")
        if callee_is_public
        else nated(cluster.edges[1], "bob", 3)
    )
    with Client(cluster.edges[0], "alice", address="127.0.0.2") as alice, cluster.registered(callee) as bob:
        calling, called = call(alice, bob, invite=invited(alice, bob))
        assert cluster.relay.sessions() == 1
        hang_up(calling, called)
        cluster.relay.wait_for_sessions(0)


def test_an_edge_shares_its_calls_among_relays_by_weight(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = Cluster(
        lambda: tmp_path_factory.mktemp("k"),
        database(tmp_path_factory.mktemp("k") / "kemi.sqlite", USERS),
        relays=(1, 3),
        NATPING_INTERVAL=0,
    )
    with closing(made):
        made.start()
        with nated(made.edges[0], "alice") as alice, made.registered(nated(made.edges[1], "bob", 3)) as bob:
            # A hash of the Call-ID decides: with these it is always the same.
            calls = [
                call(alice, bob, invite=invited(alice, bob, call_id=f"by-weight-{n}")) for n in range(16)
            ]
            few, many = (relay.sessions() for relay in made.relays)
            assert few + many == len(calls)
            assert 0 < few < many
            for calling, called in calls:
                hang_up(calling, called)
            assert [relay.sessions() for relay in made.relays] == [0, 0]
