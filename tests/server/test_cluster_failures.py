"""What a cluster survives: one registrar, one edge; and how phones are kept reachable."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from kemi.deadline import DeadlineError, wait_until
from kemi.testing.builders import sdp
from kemi.testing.client import Client
from kemi.testing.dialog import call, hang_up
from kemi.testing.server import KamailioServer
from tests.parity.root import Root
from tests.server.cluster import (
    USERS,
    MakeCluster,
    active,
    clusters,
    contacts,
    invited,
    kill,
    nated,
    peers,
    require_call,
)

# Enough to lead to either registrar.
CALL_IDS = [f"phone-{number}" for number in range(64)]
# For so long kamailio.cfg has a registrar tell another that does not answer.
_TOLD_SECONDS = 2
# More than the longest wait between two tries (T2 of RFC 3261).
_REPEATED_SECONDS = 5


@pytest.fixture
def make_cluster(tmp_path_factory: pytest.TempPathFactory, root: Root) -> Iterator[MakeCluster]:
    yield from clusters(tmp_path_factory, root)


# -- a registrar


@pytest.mark.parametrize("dead", [0, 1])
def test_one_registrar_serves_all_contacts(make_cluster: MakeCluster, dead: int) -> None:
    """Whoever they registered at, and at whatever edge; the calls that are up do not notice."""
    cluster = make_cluster()
    with (
        cluster.registered(nated(cluster.edges[0], "alice", 2)) as alice,
        cluster.registered(nated(cluster.edges[1], "bob", 3)) as bob,
        nated(cluster.edges[0], "carol", 4) as carol,
    ):
        calling, called = call(alice, bob, invite=invited(alice, bob))
        kill(cluster.registrars[dead])

        calling.send("INVITE", body=sdp(alice.contact_host))
        bob.reply(bob.expect("INVITE"), 200, body=sdp(bob.contact_host))
        alice.expect(200)
        calling.send("ACK")
        bob.expect("ACK")
        hang_up(called, calling)
        cluster.relay.wait_for_sessions(0)

        for caller, callee in ((alice, bob), (bob, alice)):
            for _ in range(3):  # Call-IDs that lead to the dead one as well
                require_call(caller, callee)
        with cluster.registered(carol):
            require_call(alice, carol)


def login(phone: Client, call_id: str, password: str) -> int:
    """The status of a REGISTER with this Call-ID, which chooses the registrar."""
    headers = {"Call-ID": call_id, "Contact": phone.contact, "Expires": "600"}
    return phone.ask("REGISTER", f"sip:{phone.domain}", headers=headers, password=password).status


def leads_to(registrar: KamailioServer, phone: Client, call_id: str) -> bool:
    """Does a phone that registers with this Call-ID do so at that registrar? It is registered then."""
    assert login(phone, call_id, USERS[phone.user]) == 200
    return call_id in registrar.log_text()


@pytest.mark.parametrize("dead", [0, 1])
def test_a_ban_spares_who_has_logged_in_at_a_registrar_that_is_dead(
    make_cluster: MakeCluster, dead: int
) -> None:
    """A well-known user is always being guessed at somewhere; its phone must reach the registrar that is left."""
    cluster = make_cluster(settings="auth:\n  ban:\n    failures_per_source: 0\n    failures_per_user: 3\n")
    edge, victim = cluster.edges[0], cluster.registrars[dead]
    with (
        nated(edge, "alice", 2) as alice,
        nated(edge, "alice", 5) as newcomer,
        nated(edge, "bob", 3) as scout,
        Client(edge, "alice", address="127.0.0.66") as mallory,
    ):
        call_id = next(name for name in CALL_IDS if leads_to(victim, scout, name))
        assert login(alice, call_id, USERS["alice"]) == 200
        kill(victim)
        for number in range(6):
            login(mallory, f"guess-{number}", "a guess")
        assert login(newcomer, "newcomer", USERS["alice"]) == 403
        assert login(alice, call_id, USERS["alice"]) == 200


def test_a_registrar_that_comes_back_asks_for_all_contacts(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    first, second = cluster.registrars
    with cluster.registered(nated(cluster.edges[0], "bob", 3)) as bob:
        [before] = contacts(second, "bob")
        kill(first)
        with cluster.registered(nated(cluster.edges[1], "carol", 4)) as carol:
            first.start()
            cluster.wait_for_contacts("bob")
            cluster.wait_for_contacts("carol")
            [after] = contacts(first, "bob")
            for key in ("Address", "Received", "Path", "CFlags", "Ruid"):
                assert after[key] == before[key]
            for edge in cluster.edges:
                wait_until(f"{edge.address} to use both registrars", lambda one=edge: active(one) == 2, 5)  # type: ignore[misc]
            kill(second)
            require_call(carol, bob)
            require_call(bob, carol)


def test_what_a_dead_registrar_was_told_does_not_come_after_what_it_has_learned_since(
    make_cluster: MakeCluster,
) -> None:
    """Registrars repeat messages that get no answer; an old one, late, would bring the phone's old address back."""
    cluster = make_cluster()
    first, second = cluster.registrars
    with (
        nated(cluster.edges[0], "bob", 3) as scout,
        nated(cluster.edges[0], "alice") as before,
        nated(cluster.edges[0], "alice") as after,
    ):
        call_id = next(name for name in CALL_IDS if leads_to(first, scout, name))
        kill(second)
        assert login(before, "before", USERS["alice"]) == 200
        time.sleep(_TOLD_SECONDS)
        second.start()
        wait_until("the registrars to know each other", lambda: all(map(peers, cluster.registrars)), 10)
        assert login(after, call_id, USERS["alice"]) == 200
        cluster.wait_for_registration("alice", call_id)
        with pytest.raises(DeadlineError):
            wait_until(
                "the old address to come back",
                lambda: [one["Call-ID"] for one in contacts(second, "alice")] != [call_id],
                _REPEATED_SECONDS,
            )


def test_without_registrars_a_phone_is_told_to_ask_elsewhere(make_cluster: MakeCluster) -> None:
    """And the calls that are up go on."""
    cluster = make_cluster()
    with (
        nated(cluster.edges[1], "bob", 3) as bob,
        nated(cluster.edges[0], "alice") as alice,
    ):
        assert bob.register(password=USERS["bob"]).status == 200
        cluster.wait_for_contacts("bob")
        calling, called = call(alice, bob, invite=invited(alice, bob))
        for registrar in cluster.registrars:
            kill(registrar)
        hang_up(called, calling)
        assert alice.register().status == 408
        answer = alice.register()
        assert (answer.status, answer.reason) == (503, "No registrar")
        cluster.registrars[0].start()
        wait_until("the edge to find the registrar", lambda: active(cluster.edges[0]) == 1, 5)
        assert alice.register(password=USERS["alice"]).status == 200


# -- an edge


def test_a_phone_whose_edge_died_registers_through_the_other(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    dying, living = cluster.edges
    with nated(dying, "bob", 3) as before, nated(living, "alice") as alice:
        assert before.register(password=USERS["bob"]).status == 200
        cluster.wait_for_contacts("bob")
        kill(dying)
        with cluster.registered(nated(living, "bob", 3)) as bob:
            for registrar in cluster.registrars:
                wait_until(
                    f"{registrar.address} to know bob at {living.address}",
                    lambda one=registrar: living.address in contacts(one, "bob")[0]["Path"],  # type: ignore[misc]
                    5,
                )
            require_call(alice, bob)
            assert before.unread() == []


# -- keepalives


def test_a_phones_own_edge_pings_it(make_cluster: MakeCluster) -> None:
    """With OPTIONS of the registrars, along the Path; whichever registrar lives."""
    cluster = make_cluster(NATPING_INTERVAL=1)
    edge = cluster.edges[1]
    with (
        nated(edge, "bob", 3) as bob,
        Client(edge, "carol", address="127.0.0.4") as public,
    ):
        assert bob.register(password=USERS["bob"]).status == 200
        assert public.register(password=USERS["carol"]).status == 200
        cluster.wait_for_contacts("bob")

        def ping() -> None:
            came = bob.expect("OPTIONS")
            assert came.uri == f"sip:bob@{bob.contact_host}:{bob.contact_port}"
            assert came.via[:2] == (edge.address, edge.port)
            bob.reply(came, 200)

        for _ in range(3):
            ping()
        for registrar in cluster.registrars:
            start = len(registrar.log_text())
            kill(registrar)
            bob.unread()
            for _ in range(2):
                ping()
            registrar.start()
            cluster.wait_for_contacts("bob")
            assert start
        assert public.unread() == [], "only contacts behind a NAT are pinged"
        for server in (*cluster.edges, *cluster.registrars):
            assert "ERROR" not in server.log_text()
