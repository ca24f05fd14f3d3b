"""Trusted addresses (WITH_IPAUTH): a row of table address takes the place of a password, but not at REGISTER."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemi.cli.database import connect
from kemi.testing.client import Client
from kemi.testing.message import Message
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from kemi.testing.uri import address_uri

PASSWORD = "correct horse"
TRUSTED, OTHER_GROUP = "127.0.0.2", "127.0.0.7"


@pytest.fixture(scope="module")
def server(start_shared: Servers) -> KamailioServer:
    server = start_shared.make("WITH_AUTH", "WITH_IPAUTH", users={"alice": PASSWORD, "bob": PASSWORD})
    with connect(str(server.values["DBURL"])) as database:
        for group, address in ((1, TRUSTED), (2, OTHER_GROUP)):
            database.execute("INSERT INTO address (grp, ip_addr, mask) VALUES (?, ?, 32)", group, address)
    return server.start()


@pytest.fixture
def alice(server: KamailioServer) -> Iterator[Client]:
    """At the trusted address."""
    with Client(server, "alice", address=TRUSTED) as client:
        yield client


@pytest.fixture
def bob(server: KamailioServer) -> Iterator[Client]:
    """Registered."""
    with Client(server, "bob", address="127.0.0.3") as client:
        assert client.register(password=PASSWORD).status == 200
        yield client
    server.rpc("ul.rm", "location", "bob")


@pytest.fixture
def carol(server: KamailioServer) -> Iterator[Client]:
    """Of a foreign domain: her address is no address of ours."""
    with Client(server, "carol", address="127.0.0.4", domain="127.0.0.4") as client:
        yield client


def line(reply: Message) -> str:
    return f"{reply.status} {reply.reason}"


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
@pytest.mark.parametrize("sender", ["alice@example.com", "bob@example.com", "mallory@example.net"])
def test_a_trusted_address_calls_our_users_without_a_password(
    alice: Client, bob: Client, method: str, sender: str
) -> None:
    sent = alice.request(method, bob.uri, headers={"From": f"<sip:{sender}>;tag=1"})
    alice.send(sent)
    bob.reply(bob.expect(method), 486)
    assert alice.final(sent).status == 486


@pytest.mark.parametrize("sender", ["alice@example.com", "mallory@example.net"])
def test_a_trusted_address_calls_out_whoever_it_claims_to_be(
    alice: Client, carol: Client, sender: str
) -> None:
    sent = alice.invite(address_uri(carol.contact), headers={"From": f"<sip:{sender}>;tag=1"})
    came = carol.expect("INVITE")
    assert came.header("P-Hint") == "outbound"
    carol.reply(came, 486)
    assert alice.final(sent).status == 486


def test_even_a_trusted_address_registers_with_a_password(alice: Client, bob: Client) -> None:
    assert alice.register().status == 401
    assert alice.register(password="wrong").status == 401
    assert alice.register(password=PASSWORD).status == 200


@pytest.mark.parametrize("address", ["127.0.0.5", OTHER_GROUP])
def test_another_address_is_asked_for_a_password(
    server: KamailioServer, bob: Client, carol: Client, address: str
) -> None:
    with Client(server, "alice", address=address) as elsewhere:
        for target in (bob.uri, address_uri(carol.contact)):
            assert elsewhere.ask("INVITE", target).status == 407
        stranger = {"From": "<sip:mallory@example.net>;tag=1"}
        reply = elsewhere.ask("INVITE", address_uri(carol.contact), headers=stranger)
        assert line(reply) == "403 Not relaying"
    assert bob.unread() == []
    assert carol.unread() == []


def test_an_address_that_is_trusted_while_the_server_runs(
    server: KamailioServer, bob: Client, carol: Client
) -> None:
    with Client(server, "alice", address="127.0.0.8") as alice:
        assert alice.ask("INVITE", bob.uri).status == 407
        with connect(str(server.values["DBURL"])) as database:
            database.execute("INSERT INTO address (grp, ip_addr, mask) VALUES (1, '127.0.0.8', 32)")
        server.rpc("permissions.addressReload")
        invite = alice.invite(bob.uri)
        bob.reply(bob.expect("INVITE"), 486)
        assert alice.final(invite).status == 486
