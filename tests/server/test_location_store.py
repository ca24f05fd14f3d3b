"""Where registrations are kept (USRLOC_DBMODE): what the row says, and what is left after a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from kemi.cli.database import connect
from kemi.cli.db import prepare
from kemi.flags import BranchFlag
from kemi.testing.client import Client
from kemi.testing.dialog import record_route
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from kemi.testing.uri import address_uri

MEMORY, WRITE_THROUGH, WRITE_BACK, DATABASE_ONLY = range(4)
TABLES = ("standard", "usrloc")
NATED = 1 << BranchFlag.NATED_DESTINATION

Serve = Callable[[str, int], KamailioServer]


@pytest.fixture
def serve(start: Servers) -> Serve:
    """Starts a server with this database, its tables made, and this db_mode."""

    def serve_from(url: str, mode: int) -> KamailioServer:
        prepare(url, TABLES)
        engine = ["WITH_MYSQL"] if url.startswith("mysql:") else []
        return start("WITH_NAT", "WITH_USRLOCDB", *engine, DBURL=url, USRLOC_DBMODE=mode, NATPING_INTERVAL=0)

    return serve_from


@contextmanager
def nated_bob(server: KamailioServer) -> Iterator[Client]:
    """A phone behind a NAT, registered."""
    with Client(server, "bob", address="127.0.0.3", contact_host="10.0.0.3", contact_port=5060) as bob:
        assert bob.register().status == 200
        yield bob


def rows(url: str) -> list[tuple[object, ...]]:
    with connect(url) as database:
        return database.rows("SELECT username, contact, received, socket, cflags FROM location")


def reaches(server: KamailioServer, bob: Client) -> bool:
    """Does a call get through to bob, as one that involves a NAT, without a new registration?"""
    with Client(server, "alice", address="127.0.0.2") as alice:
        request = alice.request("INVITE", bob.uri)
        alice.send(request)
        if alice.receive(what="any answer to INVITE").status == 404:
            assert bob.unread() == []
            return False
        came = bob.expect("INVITE")
        assert came.uri == address_uri(bob.contact)
        assert record_route(came) == [f"<sip:{server.address}:{server.port};lr;nat=yes>"]
        bob.reply(came, 486)
        assert alice.final(request).status == 486
        bob.expect("ACK")
        return True


@pytest.mark.parametrize("mode", [WRITE_THROUGH, DATABASE_ONLY])
def test_the_row_says_where_the_phone_is_and_how_it_came(url: str, serve: Serve, mode: int) -> None:
    server = serve(url, mode)
    with nated_bob(server) as bob:
        contact, received = "sip:bob@10.0.0.3:5060", f"sip:{bob.address}:{bob.port}"
        socket = f"udp:{server.address}:{server.port}"
        assert rows(url) == [("bob", contact, received, socket, NATED)]
        assert bob.register(expires=0).status == 200
        assert rows(url) == []


def test_the_row_of_a_phone_with_a_public_address_has_no_received(sqlite_url: str, serve: Serve) -> None:
    server = serve(sqlite_url, WRITE_THROUGH)
    with Client(server, "bob", address="127.0.0.3") as bob:
        assert bob.register().status == 200
        socket = f"udp:{server.address}:{server.port}"
        assert rows(sqlite_url) == [("bob", address_uri(bob.contact), None, socket, 0)]


def test_a_phone_whose_nat_gave_it_another_port_moves(sqlite_url: str, serve: Serve) -> None:
    server = serve(sqlite_url, WRITE_THROUGH)
    with nated_bob(server), nated_bob(server) as moved:
        assert [row[2] for row in rows(sqlite_url)] == [f"sip:{moved.address}:{moved.port}"]
        assert reaches(server, moved)


@pytest.mark.parametrize("mode", [WRITE_THROUGH, DATABASE_ONLY])
def test_a_registration_survives_a_crash(url: str, serve: Serve, mode: int) -> None:
    server = serve(url, mode)
    with nated_bob(server) as bob:
        server.kill()
        server.start()
        assert reaches(server, bob)


def test_write_back_keeps_a_registration_over_a_clean_stop(sqlite_url: str, serve: Serve) -> None:
    server = serve(sqlite_url, WRITE_BACK)
    with nated_bob(server) as bob:
        assert rows(sqlite_url) == []
        server.stop()
        assert [row[:2] for row in rows(sqlite_url)] == [("bob", "sip:bob@10.0.0.3:5060")]
        server.start()
        assert reaches(server, bob)


def test_write_back_loses_in_a_crash_what_it_has_not_written_yet(sqlite_url: str, serve: Serve) -> None:
    server = serve(sqlite_url, WRITE_BACK)
    with nated_bob(server) as bob:
        assert reaches(server, bob)
        server.kill()
        server.start()
        assert not reaches(server, bob)


def test_memory_forgets(sqlite_url: str, serve: Serve) -> None:
    server = serve(sqlite_url, MEMORY)
    with nated_bob(server) as bob:
        assert reaches(server, bob)
        server.stop()
        assert rows(sqlite_url) == []
        server.start()
        assert not reaches(server, bob)


def test_database_only_reads_the_table_for_each_call(sqlite_url: str, serve: Serve) -> None:
    server = serve(sqlite_url, DATABASE_ONLY)
    with nated_bob(server) as bob:
        assert reaches(server, bob)
        with connect(sqlite_url) as database:
            assert database.execute("DELETE FROM location") == 1
        assert not reaches(server, bob)
