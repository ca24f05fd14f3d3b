"""Calls through a cluster (WITH_EDGE, WITH_CLUSTER): phones at either edge, contacts at either registrar."""

from __future__ import annotations

import re

import pytest

from kemi.deadline import wait_until
from kemi.flags import BranchFlag
from kemi.testing.builders import sdp
from kemi.testing.client import Client
from kemi.testing.dialog import Dialog, call, hang_up, record_route
from kemi.testing.digest import authorize
from kemi.testing.server import KamailioServer
from kemi.testing.uri import address_uri
from tests.server.cluster import (
    EITHER_EDGE,
    USERS,
    Cluster,
    bob,
    cluster,
    contacts,
    edge,
    invited,
    media_address,
    nated,
)

__all__ = ["bob", "cluster", "edge"]  # fixtures

NATED = 1 << BranchFlag.NATED_DESTINATION | 1 << BranchFlag.OPTIONS_KEEPALIVE


# -- registration


@pytest.mark.parametrize("at", [0, 1])
def test_every_registrar_knows_a_phone_its_address_and_its_edge(cluster: Cluster, at: int) -> None:
    edge = cluster.edges[at]
    with cluster.registered(nated(edge, "bob")) as bob:
        received = f"sip:{bob.address}:{bob.port}"
        for registrar in cluster.registrars:
            [contact] = contacts(registrar, "bob")
            assert contact["Address"] == address_uri(bob.contact)
            assert contact["Path"] == f"<sip:{edge.address}:{edge.port};lr;received={received}>"
            assert contact["Received"] == received
            assert contact["CFlags"] == NATED


def test_a_phone_with_a_public_address_is_where_it_says(cluster: Cluster, edge: KamailioServer) -> None:
    with cluster.registered(Client(edge, "bob", address="127.0.0.3")):
        for registrar in cluster.registrars:
            [contact] = contacts(registrar, "bob")
            assert contact["Path"] == f"<sip:{edge.address}:{edge.port};lr>"
            assert contact["Received"] == "[not set]"
            assert contact["CFlags"] == 0


def test_a_login_may_begin_at_one_registrar_and_end_at_another(
    cluster: Cluster, edge: KamailioServer
) -> None:
    with nated(edge, "carol") as carol:
        request = carol.request("REGISTER", "sip:example.com", headers={"Expires": "60"})
        carol.send(request)
        challenge = carol.final(request)
        before = [len(one.log_text()) for one in cluster.registrars]
        for number in range(12):
            call_id = f"other-{number}"
            again = authorize(request.with_header("Call-ID", call_id), challenge, "carol", "c secret")
            carol.send(again)
            assert carol.final(again).status == 200
            # What one tells the other may overtake what it told before, so one at a time.
            cluster.wait_for_registration("carol", call_id)
        for registrar, start in zip(cluster.registrars, before, strict=True):
            assert "registrar answered" in registrar.log_text()[start:]
        assert carol.register(contact="*", expires=0, password="c secret").status == 200
    cluster.wait_for_contacts("carol", 0)


# -- calls


@EITHER_EDGE
def test_phones_behind_nats_call_each_other(cluster: Cluster, at: int, other: int) -> None:
    with (
        nated(cluster.edges[at], "alice", 2) as alice,
        cluster.registered(nated(cluster.edges[other], "bob", 3)) as bob,
    ):
        calling, called = call(alice, bob, invite=invited(alice, bob))
        assert cluster.relay.sessions() == 1
        for side, far in ((calling, called), (called, calling)):
            side.send("INVITE", body=sdp(side.client.contact_host))
            came = far.client.expect("INVITE")
            assert came.uri == address_uri(far.client.contact)  # without the alias: as the phone knows itself
            assert media_address(came) == cluster.relay.address
            far.client.reply(came, 200, body=sdp(far.client.contact_host))
            assert media_address(side.client.expect(200)) == cluster.relay.address
            side.send("ACK")
            far.client.expect("ACK")
            assert cluster.relay.sessions() == 1
        side, far = (calling, called) if at else (called, calling)
        hang_up(side, far)
        cluster.relay.wait_for_sessions(0)


def test_edges_stay_in_the_path_of_a_call_and_registrars_do_not(cluster: Cluster, bob: Client) -> None:
    first, second = cluster.edges
    with nated(first, "alice") as alice:
        invite = invited(alice, bob)
        alice.send(invite)
        came = bob.expect("INVITE")
        assert record_route(came) == [
            f"<sip:{second.address}:{second.port};lr>",
            f"<sip:{first.address}:{first.port};lr;nat=yes>",
        ]
        assert f";alias={alice.address}~{alice.port}~1" in (came.header("Contact") or "")
        assert media_address(came) == cluster.relay.address
        bob.reply(came, 200, body=sdp(bob.contact_host))
        accepted = alice.expect(200)
        assert f";alias={bob.address}~{bob.port}~1" in (accepted.header("Contact") or "")
        assert media_address(accepted) == cluster.relay.address
        calling = Dialog.of_caller(alice, invite, accepted)
        calling.send("ACK")
        bob.expect("ACK")
        calling.send("BYE")
        bob.reply(bob.expect("BYE"), 200)
        alice.expect(200)


def test_a_hung_up_call_is_accounted_once(cluster: Cluster, bob: Client) -> None:
    with nated(cluster.edges[0], "alice") as alice:
        calling, called = call(alice, bob, invite=invited(alice, bob))
        start = len(cluster.edges[1].log_text())
        hang_up(called, calling)
        cluster.edges[1].wait_for_log("method=BYE", start=start)

        def accounted() -> list[str]:
            lines = [
                line
                for server in (*cluster.edges, *cluster.registrars)
                for line in server.log_text().splitlines()
                if "ACC: transaction answered" in line and calling.call_id in line
            ]
            return sorted(re.findall(r"method=(\w+)", " ".join(lines)))

        wait_until("both to be accounted", lambda: len(accounted()) >= 2, 10)
        assert accounted() == ["BYE", "INVITE"]


def test_a_phone_on_tcp_is_called_through_its_own_connection(cluster: Cluster, bob: Client) -> None:
    edge = cluster.edges[0]
    phone = Client(
        edge, "carol", address="127.0.0.5", transport="tcp", contact_host="10.0.0.5", contact_port=5060
    )
    with cluster.registered(phone) as carol, nated(cluster.edges[1], "alice") as alice:
        calling, called = call(alice, carol, invite=invited(alice, carol))
        called.send("INVITE", body=sdp(carol.contact_host))
        came = alice.expect("INVITE")
        alice.reply(came, 200, body=sdp(alice.contact_host))
        carol.expect(200)
        called.send("ACK")
        alice.expect("ACK")
        hang_up(calling, called)


def test_nobody_connects_to_a_phone_whose_connection_is_gone(cluster: Cluster) -> None:
    """The port behind its NAT was that connection's; the caller learns so at once."""
    edge = cluster.edges[0]
    phone = Client(
        edge, "carol", address="127.0.0.5", transport="tcp", contact_host="10.0.0.5", contact_port=5060
    )
    with phone as carol, nated(cluster.edges[1], "alice") as alice:
        assert carol.register(password=USERS["carol"]).status == 200
        cluster.wait_for_contacts("carol")
        carol.close()
        start = len(edge.log_text())
        invite = invited(alice, carol)
        alice.send(invite)
        assert alice.final(invite).status == 477
        assert "connect" not in edge.log_text()[start:]
    with nated(edge, "carol") as carol:
        assert carol.register(contact="*", expires=0, password=USERS["carol"]).status == 200
    cluster.wait_for_contacts("carol", 0)


def test_a_stranger_may_call_our_users(cluster: Cluster, bob: Client) -> None:
    with Client(cluster.edges[0], "dave", address="127.0.0.9", domain="127.0.0.9") as dave:
        calling, called = call(dave, bob)
        hang_up(calling, called)


def test_who_is_not_registered_is_not_found(edge: KamailioServer) -> None:
    with nated(edge, "alice") as alice:
        invite = invited(alice, "sip:carol@example.com")
        alice.send(invite)
        assert alice.final(invite).status == 404
