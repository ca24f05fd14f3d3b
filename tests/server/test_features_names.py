"""Other names of users, short numbers and further domains (WITH_ALIASDB, WITH_SPEEDDIAL, WITH_MULTIDOMAIN)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemi.cli.database import connect
from kemi.testing.client import Client
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from kemi.testing.uri import address_uri

ALIAS = "INSERT INTO dbaliases (alias_username, alias_domain, username, domain) VALUES (?, ?, ?, ?)"
SHORT = "INSERT INTO speed_dial (username, domain, sd_username, sd_domain, new_uri) VALUES (?, ?, ?, ?, ?)"
HOSTED = "example.org"


def prepared(servers: Servers, *defines: str) -> KamailioServer:
    server = servers.make("WITH_ALIASDB", "WITH_SPEEDDIAL", *defines, users={})
    with connect(str(server.values["DBURL"])) as database:
        database.execute("INSERT INTO domain (domain) VALUES (?)", HOSTED)
    return server.start()


@pytest.fixture(scope="module")
def server(start_shared: Servers) -> KamailioServer:
    """One set of users, whatever the domain."""
    return prepared(start_shared)


@pytest.fixture(scope="module")
def hosting(start_shared: Servers) -> KamailioServer:
    """Two domains with users of their own: example.com on the command line, example.org in table domain."""
    return prepared(start_shared, "WITH_MULTIDOMAIN")


@pytest.fixture(autouse=True)
def no_names(server: KamailioServer, hosting: KamailioServer) -> None:
    """Each test begins with empty tables."""
    for one in (server, hosting):
        with connect(str(one.values["DBURL"])) as database:
            database.execute("DELETE FROM dbaliases")
            database.execute("DELETE FROM speed_dial")


@pytest.fixture
def alice(server: KamailioServer) -> Iterator[Client]:
    with Client(server, "alice", address="127.0.0.2") as client:
        yield client


@pytest.fixture
def bob(server: KamailioServer) -> Iterator[Client]:
    """Registered."""
    with Client(server, "bob", address="127.0.0.3") as client:
        assert client.register().status == 200
        yield client
    server.rpc("ul.rm", "location", "bob")


@pytest.fixture
def carol(server: KamailioServer) -> Iterator[Client]:
    """Of a foreign domain: her address is no address of ours."""
    with Client(server, "carol", address="127.0.0.4", domain="127.0.0.4") as client:
        yield client


def store(server: KamailioServer, statement: str, *values: str) -> None:
    with connect(str(server.values["DBURL"])) as database:
        database.execute(statement, *values)


def rings(caller: Client, dialled: str, callee: Client, **headers: str) -> str:
    """Call `dialled`, which must arrive at `callee`; the P-Hint with which it came, "" without one."""
    invite = caller.invite(dialled, headers=headers)
    came = callee.expect("INVITE")
    assert came.uri == address_uri(callee.contact)
    assert came.header("To") == f"<{dialled}>"
    callee.reply(came, 486)
    assert caller.final(invite).status == 486
    callee.expect("ACK")
    return came.header("P-Hint") or ""


# -- aliases


def test_an_alias_leads_to_a_user(server: KamailioServer, alice: Client, bob: Client) -> None:
    store(server, ALIAS, "boss", "example.com", "bob", "example.com")
    assert rings(alice, "sip:boss@example.com", bob) == ""


def test_a_user_without_an_alias_is_reached_as_before(alice: Client, bob: Client) -> None:
    assert rings(alice, bob.uri, bob) == ""
    assert alice.ask("INVITE", "sip:boss@example.com").status == 404


def test_an_alias_may_lead_elsewhere(server: KamailioServer, alice: Client, carol: Client) -> None:
    store(server, ALIAS, "boss", "example.com", "carol", f"{carol.address}:{carol.port}")
    assert rings(alice, "sip:boss@example.com", carol) == "outbound"


def test_an_alias_of_a_user_who_is_not_there_is_not_found(server: KamailioServer, alice: Client) -> None:
    store(server, ALIAS, "boss", "example.com", "nobody", "example.com")
    assert alice.ask("INVITE", "sip:boss@example.com").status == 404


# -- short numbers


def test_a_short_number_leads_to_a_user(server: KamailioServer, alice: Client, bob: Client) -> None:
    store(server, SHORT, "alice", "example.com", "42", "example.com", bob.uri)
    assert rings(alice, "sip:42@example.com", bob) == ""


def test_a_short_number_may_lead_elsewhere(server: KamailioServer, alice: Client, carol: Client) -> None:
    store(server, SHORT, "alice", "example.com", "42", "example.com", address_uri(carol.contact))
    assert rings(alice, "sip:42@example.com", carol) == "outbound"


def test_a_short_number_is_the_callers_own(server: KamailioServer, bob: Client) -> None:
    store(server, SHORT, "alice", "example.com", "42", "example.com", bob.uri)
    with Client(server, "dave", address="127.0.0.5") as dave:
        assert dave.ask("INVITE", "sip:42@example.com").status == 404
    assert bob.unread() == []


def test_a_short_number_may_be_an_alias(server: KamailioServer, alice: Client, bob: Client) -> None:
    store(server, SHORT, "alice", "example.com", "42", "example.com", "sip:boss@example.com")
    store(server, ALIAS, "boss", "example.com", "bob", "example.com")
    assert rings(alice, "sip:42@example.com", bob) == ""


@pytest.mark.parametrize("dialled", ["4", "421", "4a"])
def test_only_two_digits_are_a_short_number(
    server: KamailioServer, alice: Client, bob: Client, dialled: str
) -> None:
    store(server, SHORT, "alice", "example.com", dialled, "example.com", bob.uri)
    assert alice.ask("INVITE", f"sip:{dialled}@example.com").status == 404
    assert bob.unread() == []


# -- domains


def test_without_many_domains_a_row_in_table_domain_means_nothing(alice: Client) -> None:
    assert alice.ask("INVITE", f"sip:bob@{HOSTED}").status == 403


def test_a_user_belongs_to_one_domain(hosting: KamailioServer) -> None:
    with (
        Client(hosting, "bob", address="127.0.0.3", domain=HOSTED) as here,
        Client(hosting, "bob", address="127.0.0.5") as there,
        Client(hosting, "alice", address="127.0.0.2") as alice,
    ):
        assert here.register().status == 200
        assert alice.ask("INVITE", "sip:bob@example.com").status == 404
        assert there.register().status == 200
        rings(alice, f"sip:bob@{HOSTED}", here)
        rings(alice, "sip:bob@example.com", there)
        assert here.unread() == []
        assert there.unread() == []
        for domain in (HOSTED, "example.com"):
            hosting.rpc("ul.rm", "location", f"bob@{domain}")


def test_a_domain_in_no_table_is_foreign(hosting: KamailioServer) -> None:
    with Client(hosting, "alice", address="127.0.0.2", domain=HOSTED) as alice:
        assert alice.ask("INVITE", "sip:bob@example.net").status == 403


def test_a_domain_is_added_while_the_server_runs(hosting: KamailioServer) -> None:
    with Client(hosting, "alice", address="127.0.0.2", domain=HOSTED) as alice:
        assert alice.ask("INVITE", "sip:bob@added.example").status == 403
        store(hosting, "INSERT INTO domain (domain) VALUES (?)", "added.example")
        hosting.rpc("domain.reload")
        assert alice.ask("INVITE", "sip:bob@added.example").status == 404


@pytest.mark.parametrize("domain", [HOSTED, "example.com"])
def test_an_alias_belongs_to_one_domain(hosting: KamailioServer, domain: str) -> None:
    store(hosting, ALIAS, "boss", domain, "bob", HOSTED)
    with (
        Client(hosting, "bob", address="127.0.0.3", domain=HOSTED) as bob,
        Client(hosting, "alice", address="127.0.0.2", domain=domain) as alice,
    ):
        assert bob.register().status == 200
        rings(alice, f"sip:boss@{domain}", bob)
        other = {"example.com": HOSTED, HOSTED: "example.com"}[domain]
        assert alice.ask("INVITE", f"sip:boss@{other}").status == 404
        hosting.rpc("ul.rm", "location", f"bob@{HOSTED}")


@pytest.mark.parametrize("domain", [HOSTED, "example.com"])
def test_a_short_number_belongs_to_callers_of_one_domain(hosting: KamailioServer, domain: str) -> None:
    store(hosting, SHORT, "alice", domain, "42", domain, f"sip:bob@{HOSTED}")
    other = {"example.com": HOSTED, HOSTED: "example.com"}[domain]
    with (
        Client(hosting, "bob", address="127.0.0.3", domain=HOSTED) as bob,
        Client(hosting, "alice", address="127.0.0.2", domain=domain) as alice,
        Client(hosting, "alice", address="127.0.0.5", domain=other) as namesake,
    ):
        assert bob.register().status == 200
        rings(alice, f"sip:42@{domain}", bob)
        assert namesake.ask("INVITE", f"sip:42@{domain}").status == 404
        hosting.rpc("ul.rm", "location", f"bob@{HOSTED}")
