"""Whom the servers of a cluster believe: edges the registrars, registrars the edges and each other, nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kemi.testing.client import Client
from kemi.testing.message import Message
from kemi.testing.server import KamailioServer
from tests.server.cluster import USERS, Cluster, bob, cluster, contacts, edge, nated

__all__ = ["bob", "cluster", "edge"]  # fixtures


@pytest.fixture
def registrar(cluster: Cluster) -> KamailioServer:
    return cluster.registrars[0]


@pytest.fixture
def victim(edge: KamailioServer) -> Iterator[Client]:
    """Whoever listens at an address that an attacker names."""
    with Client(edge, "victim", address="127.0.0.66") as client:
        yield client


# -- registrars


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "MESSAGE"])
def test_a_registrar_hears_nobody_but_its_edges(registrar: KamailioServer, method: str) -> None:
    with Client(registrar, "alice", address="127.0.0.2") as alice:
        answer = alice.ask(method, "sip:bob@example.com", password=USERS["alice"])
        assert (answer.status, answer.reason) == (403, "Not through an edge")


def test_a_registrar_tells_anybody_that_it_lives(registrar: KamailioServer) -> None:
    with Client(registrar, "alice", address="127.0.0.2") as alice:
        assert alice.ask("OPTIONS", registrar.uri).status == 200


def shared_contact(user: str) -> str:
    """What a registrar would tell another."""
    return json.dumps(
        {
            "action": 1,
            "aor": user,
            "ruid": "uloc-9-1-1-1",
            "c": "sip:mallory@127.0.0.66:5060",
            "received": "",
            "path": "",
            "callid": "1",
            "user_agent": "",
            "instance": "",
            "expires": 4000000000,
            "cseq": 1,
            "flags": 0,
            "cflags": 0,
            "q": -1,
            "last_modified": 1,
            "methods": 4294967295,
            "reg_id": 0,
            "server_id": 9,
        }
    )


def kdmq(client: Client, server: KamailioServer) -> Message:
    uri = f"sip:usrloc@{server.address}:{server.port}"
    return client.request(
        "KDMQ", uri, body=shared_contact("carol"), headers={"Content-Type": "application/json"}
    )


def test_contacts_are_shared_by_registrars_only(cluster: Cluster, registrar: KamailioServer) -> None:
    with (
        Client(registrar, "mallory", address="127.0.0.66") as outside,
        Client(registrar, "peer", address=cluster.registrars[1].address) as inside,
    ):
        outside.send(kdmq(outside, registrar))
        registrar.wait_for_log("drop (KDMQ from elsewhere)")
        assert contacts(registrar, "carol") == []
        # The same message is believed if it comes from a registrar: it was not refused for what it says.
        request = kdmq(inside, registrar)
        inside.send(request)
        assert inside.final(request).status == 200
        assert len(contacts(registrar, "carol")) == 1
        registrar.rpc("ul.rm", "location", "carol")


@pytest.mark.parametrize("through_us", [True, False])
def test_no_edge_passes_them_on(cluster: Cluster, edge: KamailioServer, through_us: bool) -> None:
    registrar = cluster.registrars[0]
    with Client(edge, "mallory", address="127.0.0.66") as mallory:
        start = len(edge.log_text())
        mallory.send(kdmq(mallory, edge if through_us else registrar))
        edge.wait_for_log("drop (KDMQ is for registrars)", start=start)
        assert all(contacts(one, "carol") == [] for one in cluster.registrars)


# -- edges


def test_a_path_that_a_client_wrote_is_dropped(
    cluster: Cluster, edge: KamailioServer, victim: Client
) -> None:
    forged = f"<sip:{edge.address}:{edge.port};lr;received=sip:{victim.address}:{victim.port}>"
    for written in (forged, f"<sip:{victim.address}:{victim.port};lr>"):
        with nated(edge, "carol", 4) as carol:
            assert carol.register(password=USERS["carol"], Path=written).status == 200
            cluster.wait_for_contacts("carol")
            received = f"sip:{carol.address}:{carol.port}"
            for registrar in cluster.registrars:
                [contact] = contacts(registrar, "carol")
                assert contact["Path"] == f"<sip:{edge.address}:{edge.port};lr;received={received}>"
                assert contact["Received"] == received
            assert carol.register(contact="*", expires=0, password=USERS["carol"]).status == 200
            cluster.wait_for_contacts("carol", 0)


def test_a_clients_route_leads_nowhere(edge: KamailioServer, bob: Client, victim: Client) -> None:
    """Nobody but a registrar has an edge send a request where ``received`` says, or where it is not asked to go."""
    with Client(edge, "dave", address="127.0.0.9", domain="127.0.0.9") as dave:
        for route in (
            f"<sip:{edge.address}:{edge.port};lr;received=sip:{victim.address}:{victim.port}>",
            f"<sip:{victim.address}:{victim.port};lr>",
        ):
            request = dave.request("MESSAGE", bob.uri, headers={"Route": route})
            dave.send(request)
            came = bob.expect("MESSAGE")
            bob.reply(came, 200)
            assert dave.final(request).status == 200
            assert victim.unread() == []


def test_received_means_nothing_in_a_dialog(edge: KamailioServer, bob: Client, victim: Client) -> None:
    """The request goes where its request-URI says, as on any proxy."""
    with Client(edge, "dave", address="127.0.0.9", domain="127.0.0.9") as dave:
        route = f"<sip:{edge.address}:{edge.port};lr;received=sip:{victim.address}:{victim.port}>"
        request = dave.request(
            "BYE",
            f"sip:bob@{bob.address}:{bob.port}",
            headers={"Route": route, "To": "<sip:bob@example.com>;tag=1"},
        )
        dave.send(request)
        bob.reply(bob.expect("BYE"), 481)
        assert dave.final(request).status == 481
        assert victim.unread() == []


def test_a_registrar_must_name_the_path(cluster: Cluster, edge: KamailioServer, victim: Client) -> None:
    with Client(edge, "registrar", address=cluster.registrars[0].address) as registrar:
        answer = registrar.ask("MESSAGE", f"sip:victim@{victim.address}:{victim.port}")
        assert (answer.status, answer.reason) == (404, "Not here")
        assert victim.unread() == []
