"""What a cluster does by address, it does by the client's: bans, floods and trust concern no edge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from kemi.cli.database import connect
from kemi.deadline import DeadlineError, wait_until
from kemi.testing.builders import sdp
from kemi.testing.client import Client
from kemi.testing.server import KamailioServer
from kemi.testing.servers import database
from tests.parity.root import Root
from tests.server.cluster import USERS, Cluster, bob, edge, nated
from tests.server.test_metrics import metrics

__all__ = ["bob", "edge"]  # fixtures

TRUSTED = "127.0.0.77"
SETTINGS = """\
auth:
  ban:
    failures_per_source: 1
    failures_per_user: 0
metrics:
  allow: [127.0.0.0/8]
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, root: Root) -> Iterator[Cluster]:
    url = database(tmp_path_factory.mktemp("k") / "kemi.sqlite", USERS)
    with connect(url) as opened:
        opened.execute(f"INSERT INTO address (grp, ip_addr, mask, port) VALUES (1, '{TRUSTED}', 32, 0)")
    made = Cluster(
        lambda: tmp_path_factory.mktemp("k"),
        url,
        edge_defines=["WITH_ANTIFLOOD", "WITH_METRICS"],
        registrar_defines=["WITH_ANTIFLOOD", "WITH_IPAUTH", "WITH_METRICS"],
        settings=SETTINGS,
        root=root,
        NATPING_INTERVAL=0,
    )
    with closing(made):
        made.start()
        yield made


def test_who_guesses_passwords_is_banned_and_not_its_edge(cluster: Cluster, edge: KamailioServer) -> None:
    """And is told so: a registrar that said nothing would look dead to the edge."""
    with Client(edge, "alice", address="127.0.0.66") as mallory, nated(edge, "carol", 4) as carol:
        # Call-IDs that lead to either registrar; few enough to be no flood.
        answers = []
        for number in range(6):
            headers = {"Call-ID": f"guess-{number}", "Expires": "60"}
            answers.append(mallory.ask("REGISTER", "sip:example.com", headers=headers, password="a guess"))
        assert [one.status for one in answers if one.status not in (401, 403)] == []
        assert (answers[-1].status, answers[-1].reason) == (403, "Forbidden")
        for registrar in cluster.registrars:
            banned = [
                entry["name"] for slot in registrar.rpc("htable.dump", "authban") for entry in slot["slot"]
            ]
            assert banned == [mallory.address]
        assert "inactive" not in edge.log_text()
        with cluster.registered(carol):
            pass


def test_each_server_tells_prometheus_what_it_did(
    cluster: Cluster, edge: KamailioServer, bob: Client
) -> None:
    """Registrars count who has registered, and no signs of NAT: they would be those of the edges."""
    bob.register(password=USERS["bob"])

    def counted(server: KamailioServer) -> dict[str, float]:
        with Client(server, "poll") as poll:
            # A worker hands its numbers on with a message that comes a second after the last.
            poll.ask("OPTIONS", server.uri)
        return metrics(server)

    def total(servers: list[KamailioServer], name: str) -> float:
        return sum(counted(server).get(name, 0) for server in servers)

    registered = 'kemi_registrations_total{behind="nat"}'
    wait_until("registrars to count", lambda: total(cluster.registrars, registered), 10, every=0.5)
    decided = 'kemi_decisions_total{rule="to_registrar"}'
    wait_until("edges to count", lambda: total(cluster.edges, decided), 10, every=0.5)
    for registrar in cluster.registrars:
        assert not any("kemi_nat_signs_total" in name for name in metrics(registrar))


def test_an_address_is_trusted_through_an_edge(edge: KamailioServer, bob: Client) -> None:
    """It belongs to a gateway, say, that calls as one of us without a password."""
    for address, expected in ((TRUSTED, 200), ("127.0.0.78", 407)):
        with Client(edge, "alice", address=address) as gateway:
            request = gateway.request("MESSAGE", bob.uri)
            gateway.send(request)
            if expected == 200:
                bob.reply(bob.expect("MESSAGE"), 200)
            assert gateway.final(request).status == expected


@pytest.mark.parametrize(
    "via",
    [
        "{own};branch=z9hG4bKa1;received={trusted};rport=5060",
        "{own};received={trusted};branch=z9hG4bKa2",
        "{own};branch=z9hG4bKa3;received={trusted};received={trusted};rport=1;rport=2",
        "{own};branch=z9hG4bKa4;RECEIVED={trusted};RPort=5060",
        "{own};branch=z9hG4bKa5, SIP/2.0/UDP {trusted};received={trusted};branch=z9hG4bKb5",
        "{trusted};branch=z9hG4bKa6",
    ],
)
def test_a_client_cannot_say_where_it_is(edge: KamailioServer, via: str) -> None:
    """What it writes into its Via, the edge writes over."""
    with Client(edge, "alice", address="127.0.0.78") as mallory:
        written = "SIP/2.0/UDP " + via.format(own=f"10.0.0.9:{mallory.port}", trusted=TRUSTED)
        assert mallory.ask("MESSAGE", "sip:bob@example.com", headers={"Via": written}).status == 407


def test_many_phones_of_one_edge_are_no_flood(cluster: Cluster, bob: Client) -> None:
    """What they send comes to registrars, and to the other edge, from few addresses."""
    with ExitStack() as stack:
        phones = [
            stack.enter_context(
                Client(cluster.edges[0], "dave", address=f"127.0.2.{number}", domain="127.0.0.9")
            )
            for number in range(1, 11)
        ]
        for phone in phones * 8:
            request = phone.request("MESSAGE", bob.uri, body=sdp(phone.address))
            phone.send(request)
            bob.reply(bob.expect("MESSAGE"), 200)
            assert phone.final(request).status == 200


def test_phones_that_are_registered_do_not_make_the_next_one_a_flood(cluster: Cluster) -> None:
    """An office behind one public address, whose edge only sees that its registrar let somebody in."""
    edge = cluster.edges[1]
    shared = "127.0.0.89"
    with (
        Client(edge, "carol", address=shared, contact_host="10.0.0.4", contact_port=5060) as carol,
        Client(edge, "carol", address=shared, contact_host="10.0.0.5", contact_port=5060) as newcomer,
    ):
        assert carol.register(password=USERS["carol"]).status == 200
        for _ in range(60):
            assert carol.ask("MESSAGE", "sip:nobody@example.com").status == 407
        assert newcomer.register(password=USERS["carol"]).status == 200
        assert carol.register(contact="*", expires=0, password=USERS["carol"]).status == 200


def test_one_who_floods_an_edge_is_not_heard_but_the_phones_beside_it_are(cluster: Cluster) -> None:
    """They share a public address, and have logged in through this edge."""
    edge = cluster.edges[1]
    shared = "127.0.0.88"
    with (
        Client(edge, "carol", address=shared, contact_host="10.0.0.4", contact_port=5060) as carol,
        Client(edge, "dave", address=shared, domain="127.0.0.9") as dave,
    ):
        assert carol.register(password=USERS["carol"]).status == 200
        for _ in range(60):
            dave.send(dave.request("MESSAGE", "sip:nobody@example.com"))
        edge.wait_for_log(f"flood from {shared}")
        dave.unread()
        with pytest.raises(DeadlineError):
            dave.final(dave.invite("sip:nobody@example.com"), seconds=0.5)
        assert carol.register(contact="*", expires=0, password=USERS["carol"]).status == 200
