"""Answers that callers do not get to see (WITH_BLOCK3XX, WITH_BLOCK401407)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemi.testing.client import Client
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers

REDIRECT = {"Contact": "<sip:premium@192.0.2.66>"}
CHALLENGE = {"Proxy-Authenticate": 'Digest realm="elsewhere.example", nonce="1"'}


@pytest.fixture(scope="module", params=["WITH_BLOCK3XX", "WITH_BLOCK401407"])
def define(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(start_shared: Servers, define: str) -> KamailioServer:
    return start_shared(define)


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


@pytest.mark.parametrize(
    ("status", "headers", "blocked_by"),
    [
        (300, REDIRECT, "WITH_BLOCK3XX"),
        (302, REDIRECT, "WITH_BLOCK3XX"),
        (399, REDIRECT, "WITH_BLOCK3XX"),
        (401, CHALLENGE, "WITH_BLOCK401407"),
        (407, CHALLENGE, "WITH_BLOCK401407"),
        (400, {}, None),
        (403, {}, None),
        (486, {}, None),
        (503, {}, None),
        (603, {}, None),
    ],
)
def test_some_answers_are_hidden(
    define: str, alice: Client, bob: Client, status: int, headers: dict[str, str], blocked_by: str | None
) -> None:
    invite = alice.invite(bob.uri)
    bob.reply(bob.expect("INVITE"), status, "Whatever", headers=headers)
    answer = alice.final(invite)
    if define == blocked_by:
        assert (answer.status, answer.reason) == (404, "Not found")
        assert [answer.header(name) for name in headers] == [None]
    else:
        # tm turns a 503 into 500: it says that this proxy is overloaded (RFC 3261, section 16.7, step 6).
        assert answer.status == (500 if status == 503 else status)
        assert [answer.header(name) for name in headers] == list(headers.values())


def test_other_methods_see_every_answer(alice: Client, bob: Client) -> None:
    # The stock configuration looks at failures of INVITE alone.
    message = alice.request("MESSAGE", bob.uri)
    alice.send(message)
    bob.reply(bob.expect("MESSAGE"), 302, headers=REDIRECT)
    assert alice.final(message).status == 302
