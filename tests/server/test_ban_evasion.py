"""Whoever guesses is counted under the name that a right guess would log in as, whatever else the request says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemi.testing.client import Client
from kemi.testing.digest import authorize
from kemi.testing.message import Message
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers

URI = "sip:example.com"
PASSWORD = "correct horse"
LIMIT = 3


@pytest.fixture(scope="module")
def running(start_shared: Servers) -> KamailioServer:
    limits = f"auth: {{ban: {{failures_per_source: 0, failures_per_user: {LIMIT}}}}}"
    return start_shared("WITH_AUTH", users={"alice": PASSWORD, "mallory": PASSWORD}, settings=limits)


@pytest.fixture
def server(running: KamailioServer) -> KamailioServer:
    """One that nobody has failed at yet, and that remembers nobody."""
    for table in ("authfail", "authban", "authok"):
        running.rpc("htable.flush", table)
    return running


@pytest.fixture
def mallory(server: KamailioServer) -> Iterator[Client]:
    with Client(server, "mallory", address="127.0.0.20") as client:
        yield client


def decoy(user: str) -> str:
    """Credentials for another realm, which no server here checks (RFC 3261, section 22.3)."""
    return f'Digest username="{user}", realm="elsewhere", nonce="1", uri="{URI}", response="{"0" * 32}"'


def answer(client: Client, request: Message, user: str, password: str) -> int:
    """The status that a request gets with that password."""
    client.send(request)
    again = authorize(request, client.final(request), user, password)
    client.send(again)
    return client.final(again).status


def register_as(client: Client, user: str, **headers: str) -> Message:
    uri = f"sip:{user}@example.com"
    return client.request("REGISTER", URI, to=uri, headers={"From": f"<{uri}>;tag=1", **headers})


def failures(server: KamailioServer, user: str) -> int:
    return int(server.rpc("htable.get", "authfail", f"@{user}")["item"]["value"])


@pytest.mark.parametrize("user", ["nobody", "mallory"])
def test_credentials_for_another_realm_hide_no_guess(
    server: KamailioServer, mallory: Client, user: str
) -> None:
    for number in range(LIMIT):
        request = register_as(mallory, "alice", **{"Proxy-Authorization": decoy(user)})
        assert answer(mallory, request, "alice", f"guess {number}") == 401
    server.wait_for_log(f"banned @alice for 300 s after {LIMIT} failed logins")


def test_a_login_with_credentials_for_another_realm_earns_nothing_as_somebody_else(
    server: KamailioServer, mallory: Client
) -> None:
    own = register_as(mallory, "mallory", **{"Proxy-Authorization": decoy("alice")})
    assert answer(mallory, own, "mallory", PASSWORD) == 200
    for number in range(LIMIT):
        assert answer(mallory, register_as(mallory, "alice"), "alice", f"guess {number}") == 401
    banned = register_as(mallory, "alice")
    mallory.send(banned)
    server.wait_for_log(f"{banned.header('Call-ID')} REGISTER {URI} authenticate: drop (user is banned)")
    assert mallory.unread() == []


def test_a_name_is_the_same_in_capitals(server: KamailioServer, mallory: Client) -> None:
    """A database may compare names without regard to case (MySQL does)."""
    for name in ("alice", "Alice"):
        assert answer(mallory, register_as(mallory, name), name, "guess") == 401
    assert failures(server, "alice") == 2


def test_a_right_password_under_another_name_counts_like_a_wrong_one(
    server: KamailioServer, mallory: Client
) -> None:
    """Otherwise the moment of the ban would tell which guess was right."""
    for number, password in enumerate((PASSWORD, "wrong"), start=1):
        assert answer(mallory, register_as(mallory, "mallory"), "alice", password) == 401
        assert failures(server, "mallory") == number
