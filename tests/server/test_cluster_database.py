"""A cluster whose registrars keep their contacts in one database as well (WITH_USRLOCDB)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kemi.cli.database import connect
from kemi.cli.db import prepare
from kemi.cli.subscribers import Subscribers
from kemi.deadline import wait_until
from tests.parity.root import MACHINE
from tests.server import mariadb
from tests.server.cluster import USERS, MakeCluster, active, clusters, kill, nated, require_call


@pytest.fixture
def make_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeCluster]:
    yield from clusters(tmp_path_factory, MACHINE)


def with_users(url: str) -> None:
    """Make tables, and users in them."""
    prepare(url)
    with connect(url) as opened:
        for user, password in USERS.items():
            Subscribers(opened).add(user, "example.com", password)


def test_contacts_survive_the_death_of_all_registrars(make_cluster: MakeCluster, mysql_url: str) -> None:
    """Both write the same row; Path and received come back with it."""
    with_users(mysql_url)
    cluster = make_cluster(mysql_url, registrar_defines=["WITH_USRLOCDB", "WITH_MYSQL"])
    with (
        cluster.registered(nated(cluster.edges[0], "bob", 3)) as bob,
        nated(cluster.edges[1], "alice") as alice,
    ):
        assert bob.register(password=USERS["bob"]).status == 200
        edge = cluster.edges[0]
        with connect(mysql_url) as opened:
            rows = opened.rows("SELECT username, received, path FROM location")
        received = f"sip:{bob.address}:{bob.port}"
        assert rows == [("bob", received, f"<sip:{edge.address}:{edge.port};lr;received={received}>")]
        for registrar in cluster.registrars:
            kill(registrar)
        for registrar in cluster.registrars:
            registrar.start()
        cluster.wait_for_contacts("bob")
        for one in cluster.edges:
            wait_until(f"{one.address} to use both registrars", lambda one=one: active(one) == 2, 5)  # type: ignore[misc]
        require_call(alice, bob)
        for registrar in cluster.registrars:
            assert "ERROR" not in registrar.log_text()
    with connect(mysql_url) as opened:
        assert opened.rows("SELECT username FROM location") == []


def test_no_phone_notices_that_the_database_is_away(make_cluster: MakeCluster, tmp_path: Path) -> None:
    """A password that one registrar has seen proved is known to the other, too."""
    with mariadb.started(tmp_path) as server:
        url = server.new_database()
        with_users(url)
        defines = ["WITH_USRLOCDB", "WITH_MYSQL", "WITH_AUTH_CACHE", "WITH_DATABASE_MAY_FAIL"]
        cluster = make_cluster(url, registrar_defines=defines, USRLOC_TIMER=1, DATABASE_PAUSE=2)
        with (
            cluster.registered(nated(cluster.edges[0], "bob", 3)) as bob,
            cluster.registered(nated(cluster.edges[1], "alice")) as alice,
        ):
            server.stop()
            # Each has a Call-ID of its own, and by that a registrar.
            for _ in range(8):
                answer = bob.register(password=USERS["bob"])
                assert answer.status == 200
                cluster.wait_for_registration("bob", answer.header("Call-ID") or "")
                require_call(alice, bob)
            server.start()

            def is_written() -> bool:
                with connect(url) as opened:
                    return (answer.header("Call-ID"),) in opened.rows("SELECT callid FROM location")

            wait_until("bob's last registration in table location", is_written, 30)
