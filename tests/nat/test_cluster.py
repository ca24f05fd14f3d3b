"""Real phones behind real NATs at the edges of a cluster: they hear each other, stay reachable, and move."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from kemi.lab import pcap
from kemi.lab.call import Call
from kemi.lab.lab import Lab
from kemi.lab.nat import PORT_RESTRICTED, SYMMETRIC
from kemi.lab.phone import Phone
from kemi.lab.server import PORT, Server
from kemi.lab.sip import media_addresses
from tests.nat.cluster import Cluster
from tests.nat.conversation import MARGIN, SECONDS, eventually, require_heard, talk

TIMEOUT = 3
"""Seconds until the NATs of the keepalive test close a UDP hole that nobody uses."""


@pytest.fixture
def cluster(lab: Lab) -> Iterator[Cluster]:
    with Cluster(lab) as made:
        yield made


@pytest.mark.parametrize("other", [0, 1], ids=["same edge", "other edge"])
def test_phones_behind_symmetric_nats_hear_each_other(cluster: Cluster, other: int) -> None:
    alice = cluster.phone("alice", SYMMETRIC, cluster.edges[0])
    bob = cluster.phone("bob", SYMMETRIC, cluster.edges[other])
    for caller, callee, ended_by in ((alice, bob, bob), (bob, alice, bob)):
        call = caller.call(callee)
        call.established()
        at = other if caller is bob else 0
        assert cluster.sessions() == [int(at == 0), int(at == 1)], (
            "the edge that a call comes in at relays it"
        )
        call.listen(SECONDS + MARGIN)
        ended_by.hang_up()
        call.closed()
        require_heard(call)
        _require_nothing_left(cluster)


def test_hold_and_resume_between_two_edges(cluster: Cluster) -> None:
    alice = cluster.phone("alice", SYMMETRIC, cluster.edges[0])
    bob = cluster.phone("bob", PORT_RESTRICTED, cluster.edges[1])
    call = alice.call(bob)
    call.established()
    for holder, held in ((alice, bob), (bob, alice)):
        for change in (holder.hold, holder.resume):
            began, mark = time.time(), holder.mark()
            change()
            holder.wait_for("CALL_REMOTE_SDP", seconds=5, since=mark)
            [invite] = [one for one in held.received("INVITE", since=began) if one.is_request]
            assert media_addresses(invite) == [cluster.edges[0].host.address]
        talk(call)
    bob.hang_up()
    call.closed()
    _require_nothing_left(cluster)


def test_the_edge_that_owns_the_hole_keeps_it_open(lab: Lab) -> None:
    with Cluster(lab, ping=1) as cluster:
        nat = replace(SYMMETRIC, udp_timeout=TIMEOUT)
        silent = [cluster.phone(f"bob{number}", nat, edge) for number, edge in enumerate(cluster.edges)]
        callers = [cluster.phone(f"alice{number}", None, edge) for number, edge in enumerate(cluster.edges)]
        began = time.time()
        time.sleep(3 * TIMEOUT)  # this is what is tested: nothing happens
        for bob, edge, elsewhere in zip(silent, cluster.edges, reversed(cluster.edges), strict=True):
            assert bob.sent("REGISTER", since=began) == []
            assert len(_pings(bob, edge)) >= 3 * TIMEOUT / 2
            assert _pings(bob, elsewhere) == []
        for caller in callers:
            assert caller.received("OPTIONS") == []
        # Each is called from the other edge.
        calls = [caller.call(bob) for caller, bob in zip(callers, reversed(silent), strict=True)]
        for call in calls:
            call.established()
        for call in calls:
            call.listen(SECONDS + MARGIN)
            call.callee.hang_up()
            call.closed()
            require_heard(call)
        _require_nothing_left(cluster)


def test_without_keepalives_the_phones_are_lost(lab: Lab) -> None:
    """The control experiment: nothing but the keepalives has kept the holes open."""
    with Cluster(lab, ping=0) as cluster:
        bob = cluster.phone("bob", replace(SYMMETRIC, udp_timeout=TIMEOUT), cluster.edges[0])
        alice = cluster.phone("alice", None, cluster.edges[1])
        for server in (*cluster.edges, *cluster.registrars):
            server.rpc("cfg.set_now_int", "tm", "fr_timer", 1000)
        time.sleep(3 * TIMEOUT)
        assert alice.call(bob).failed().startswith("408")
        assert bob.received("INVITE") == []


def test_phones_of_a_dead_edge_register_through_the_other(cluster: Cluster) -> None:
    dying, living = cluster.edges
    alice = cluster.phone("alice", SYMMETRIC, dying)
    bob = cluster.phone("bob", SYMMETRIC, living)
    _talk(alice.call(bob))
    dying.kill()
    cluster.move(alice, living)
    for caller, callee in ((bob, alice), (alice, bob)):
        _talk(caller.call(callee))
    _require_nothing_left(cluster, living)


@pytest.mark.parametrize("dead", [0, 1])
def test_a_call_does_not_notice_that_a_registrar_dies(cluster: Cluster, dead: int) -> None:
    alice = cluster.phone("alice", SYMMETRIC, cluster.edges[0])
    bob = cluster.phone("bob", SYMMETRIC, cluster.edges[1])
    call = alice.call(bob)
    call.established()
    cluster.kill(cluster.registrars[dead])
    call.listen(SECONDS + MARGIN)
    bob.hang_up()
    call.closed()
    require_heard(call)
    for caller, callee in ((alice, bob), (bob, alice)):
        _talk(caller.call(callee))
    # The edges go on asking the dead one whether it lives.
    _require_nothing_left(cluster, *cluster.living)


def _talk(call: Call) -> None:
    call.established()
    call.listen(SECONDS + MARGIN)
    call.callee.hang_up()
    call.closed()
    require_heard(call)


def _pings(phone: Phone, edge: Server) -> list[bytes]:
    """The OPTIONS with which this edge has reached a phone."""
    phone.capture.flush()
    return [
        one.payload
        for one in pcap.datagrams(phone.capture.path)
        if one.source == (edge.host.address, PORT) and one.destination[0] == phone.host.address
        if one.payload.startswith(b"OPTIONS ")
    ]


def _require_nothing_left(cluster: Cluster, *servers: Server) -> None:
    eventually("the relays to hold no session", lambda: not any(cluster.sessions()))
    open_ones = servers or (*cluster.edges, *cluster.living)
    eventually(
        "the servers to have no open transaction",
        lambda: not any(server.open_transactions() for server in open_ones),
    )
