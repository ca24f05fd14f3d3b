"""REGISTERs while the database is away (WITH_DATABASE_MAY_FAIL): none is refused, the rows are right afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import pytest

from kemi.cli.database import connect
from kemi.cli.db import prepare
from kemi.cli.subscribers import Subscribers
from kemi.deadline import wait_until
from kemi.testing.client import Client
from kemi.testing.digest import authorize
from kemi.testing.message import Message
from kemi.testing.server import KamailioServer
from kemi.testing.servers import DOMAIN, Servers
from tests.server import mariadb
from tests.server.mariadb import MariaDb
from tests.server.phones import PASSWORD

USERS = ("alice", "bob", "carol", "dave")
MAY_FAIL = "WITH_DATABASE_MAY_FAIL"
_ROUNDS = 5
_PATIENCE = 30.0  # seconds for an answer, or until the rows are right: the machine may be busy


@pytest.fixture(scope="module")
def mariadb_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """These tests stop it."""
    with mariadb.started(tmp_path_factory.mktemp("away")) as started:
        yield started


@pytest.fixture
def database(mariadb_of_our_own: MariaDb) -> Iterator[MariaDb]:
    """Whatever a test does to it, it is there again for the next."""
    yield mariadb_of_our_own
    mariadb_of_our_own.wake()
    if not mariadb_of_our_own.is_running:
        mariadb_of_our_own.start()


@pytest.fixture
def url(database: MariaDb) -> str:
    url = database.new_database()
    prepare(url)
    with connect(url) as opened:
        for user in USERS:
            Subscribers(opened).add(user, DOMAIN, PASSWORD)
    return url


def serve(start: Servers, url: str, *defines: str) -> KamailioServer:
    switches = ("WITH_MYSQL", "WITH_AUTH", "WITH_AUTH_CACHE", "WITH_USRLOCDB", "WITH_NAT", *defines)
    return start(*switches, DBURL=url, USRLOC_TIMER=1, DATABASE_PAUSE=2, NATPING_INTERVAL=0)


@pytest.fixture
def server(start: Servers, url: str) -> KamailioServer:
    return serve(start, url, MAY_FAIL)


def phone(start: Servers, server: KamailioServer, user: str) -> Client:
    """Behind a NAT."""
    number = 2 + USERS.index(user)
    inside = f"10.0.0.{number}"
    return start.client(server, user, address=f"127.0.0.{number}", contact_host=inside, contact_port=5060)


@pytest.fixture
def phones(start: Servers, server: KamailioServer) -> list[Client]:
    """All users' phones, registered."""
    clients = [phone(start, server, user) for user in USERS]
    for client in clients:
        # On a busy machine an answer of the database may take longer than Kamailio waits for one.
        wait_until(f"{client.user} to register", partial(is_registered, client), 20)
    return clients


def is_registered(client: Client) -> bool:
    return register(client).status == 200


def register(client: Client, **headers: str) -> Message:
    """REGISTER with the password; the answer, for which it waits long."""
    request = client.request("REGISTER", f"sip:{DOMAIN}", headers=headers)
    client.send(request)
    request = authorize(request, client.final(request, _PATIENCE), client.user, PASSWORD)
    client.send(request)
    return client.final(request, _PATIENCE)


def rows(url: str) -> set[tuple[object, ...]]:
    with connect(url) as opened:
        return set(opened.rows("SELECT username, contact, received, callid FROM location"))


def memory(server: KamailioServer) -> set[tuple[object, ...]]:
    """What usrloc serves calls from."""
    records = server.rpc("ul.dump")["Domains"][0]["Domain"]["AoRs"]
    contacts = [contact["Contact"] for record in records for contact in record["Info"]["Contacts"]]
    users = [str(record["Info"]["AoR"]) for record in records for _ in record["Info"]["Contacts"]]
    keys = ("Address", "Received", "Call-ID")
    return {(user, *(contact[key] for key in keys)) for user, contact in zip(users, contacts, strict=True)}


def wait_for_rows(url: str, server: KamailioServer) -> None:
    wait_until("the rows to say what memory says", lambda: rows(url) == memory(server), _PATIENCE)


def test_nobody_is_refused_while_it_is_stopped(
    database: MariaDb, url: str, server: KamailioServer, phones: list[Client]
) -> None:
    wait_for_rows(url, server)
    before = memory(server)
    database.stop()
    for client in phones * _ROUNDS:
        answer = register(client)
        assert answer.status == 200
        (contact,) = answer.header_values("Contact")
        assert contact.startswith(f"{client.contact};expires=")
    assert not before & memory(server)
    database.start()
    wait_for_rows(url, server)
    assert len(rows(url)) == len(phones)
    # And so it stays.
    assert [register(client).status for client in phones] == [200] * len(phones)
    assert rows(url) == memory(server)


def test_a_silent_one_is_asked_once_and_then_left_alone(
    database: MariaDb, url: str, server: KamailioServer, phones: list[Client]
) -> None:
    wait_for_rows(url, server)
    database.fall_silent()
    seconds = []
    for client in phones * _ROUNDS:
        began = time.monotonic()
        assert register(client).status == 200
        seconds.append(time.monotonic() - began)
    # Three seconds, once for each pause of two; they would have been a minute.
    assert sum(second > 1 for second in seconds) < len(seconds) / 4, seconds
    database.wake()
    wait_for_rows(url, server)


def test_without_the_define_who_renews_is_refused(start: Servers, database: MariaDb, url: str) -> None:
    server = serve(start, url)
    alice = phone(start, server, "alice")
    assert register(alice).status == 200
    database.stop()
    assert register(alice).status == 500


def test_calls_reach_who_is_registered_and_who_has_come_since(
    start: Servers, database: MariaDb, url: str, server: KamailioServer
) -> None:
    alice, bob, carol = (phone(start, server, user) for user in ("alice", "bob", "carol"))
    for client in (alice, bob):
        assert register(client).status == 200
    assert register(carol, Contact="*", Expires="0").status == 200  # a password that was proved
    wait_for_rows(url, server)
    database.stop()
    # Where bob was not before.
    elsewhere = "<sip:bob@10.0.0.77:5060>"
    assert register(bob, Contact=elsewhere).status == 200
    ring(alice, bob, contacts=2)
    assert register(carol).status == 200
    ring(alice, carol, contacts=1)
    database.start()
    wait_until("bob's second row", lambda: len(rows(url)) == 3, _PATIENCE)
    # Of carol nothing was known before: she is written when she renews.
    assert register(carol).status == 200
    wait_for_rows(url, server)
    assert len(rows(url)) == 4


def ring(caller: Client, callee: Client, contacts: int) -> None:
    """A call that rings at so many contacts, all of that one phone, and is refused."""
    request = caller.request("INVITE", callee.uri)
    caller.send(request)
    request = authorize(request, caller.final(request), caller.user, PASSWORD)
    caller.send(request)
    came = [callee.expect("INVITE") for _ in range(contacts)]
    assert len({one.uri for one in came}) == contacts
    for one in came:
        callee.reply(one, 486)
    assert caller.final(request).status == 486


@pytest.mark.parametrize("contact", ["one", "*"])
def test_who_leaves_is_gone(
    start: Servers, database: MariaDb, server: KamailioServer, phones: list[Client], contact: str
) -> None:
    bob = phones[1]
    database.stop()
    left = register(bob, Expires="0", Contact=bob.contact if contact == "one" else "*")
    assert left.status == 200
    assert not left.header_values("Contact")
    assert "bob" not in {row[0] for row in memory(server)}


def test_a_register_with_two_contacts_is_not_refused_either(
    start: Servers, database: MariaDb, url: str, server: KamailioServer
) -> None:
    bob = phone(start, server, "bob")
    both = f"{bob.contact}, <sip:bob@10.0.0.77:5060>"
    assert register(bob, Contact=both).status == 200
    database.stop()
    assert register(bob, Contact=both).status == 200
    database.start()
    assert register(bob, Contact=both).status == 200
    wait_for_rows(url, server)
    assert len(rows(url)) == 2


def test_other_errors_are_answered_as_ever(start: Servers, url: str) -> None:
    tolerant, strict = (errors(start, serve(start, url, *define)) for define in ((MAY_FAIL,), ()))
    assert tolerant == strict
    assert [status for status, _ in tolerant] == [400, 400, 400, 503]


def errors(start: Servers, server: KamailioServer) -> list[tuple[int, str | None]]:
    """What mistakes in a REGISTER are answered with: status and reason in words."""
    server.rpc("cfg.set_now_int", "registrar", "max_contacts", 1)
    alice = phone(start, server, "alice")
    first = {"Call-ID": f"{server.port}", "CSeq": "7 REGISTER"}
    assert register(alice, **first).status == 200
    answers = [
        register(alice, Contact=f"{alice.contact};q=high"),
        register(alice, Contact="*", Expires="60"),
        register(alice, **first | {"CSeq": "6 REGISTER"}),
        register(alice, Contact="<sip:alice@10.0.0.88>"),
    ]
    alice.close()
    return [(answer.status, answer.header("P-Registrar-Error")) for answer in answers]
