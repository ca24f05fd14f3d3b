"""Digest authentication (WITH_AUTH): who may register, call us, and call out."""

from __future__ import annotations

import re

import pytest

from kemi.testing.client import Client
from kemi.testing.digest import authorize
from kemi.testing.message import Message
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from kemi.testing.uri import address_uri
from tests.server.phones import PASSWORD


@pytest.fixture(scope="module")
def server(start_shared: Servers) -> KamailioServer:
    return start_shared("WITH_AUTH", users={"alice": PASSWORD, "bob": PASSWORD})


def answer_challenge(client: Client, request: Message, user: str, password: str = PASSWORD) -> Message:
    """Send a request, and once more with credentials; the second one."""
    client.send(request)
    again = authorize(request, client.final(request), user, password)
    client.send(again)
    return again


def likeness(reply: Message) -> list[str]:
    """What replies share that tell nothing apart: all but the nonce, and what belongs to the request."""
    private = ("via", "from", "to", "call-id", "cseq")
    headers = [f"{name}: {value}" for name, value in reply.headers if name.lower() not in private]
    return [
        str(reply.status),
        reply.reason,
        *(re.sub(r'nonce="[^"]*"', "nonce", header) for header in headers),
    ]


def test_the_right_password_registers(alice: Client) -> None:
    assert alice.register().status == 401
    accepted = alice.register(password=PASSWORD)
    assert accepted.status == 200
    assert alice.contact in (accepted.header("Contact") or "")


@pytest.mark.parametrize("method", ["REGISTER", "MESSAGE"])
def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(
    server: KamailioServer, alice: Client, method: str
) -> None:
    uri = "sip:example.com" if method == "REGISTER" else "sip:bob@example.com"
    with Client(server, "nobody", address="127.0.0.2") as nobody:
        challenge = alice.ask(method, uri)
        known = alice.ask(method, uri, password="wrong")
        unknown = nobody.ask(method, uri, password="wrong")
        unknown_right = nobody.ask(method, uri, password=PASSWORD)
    assert known.status == (401 if method == "REGISTER" else 407)
    assert likeness(known) == likeness(unknown) == likeness(unknown_right) == likeness(challenge)


def test_nobody_registers_another_user(alice: Client, bob: Client) -> None:
    request = alice.request("REGISTER", "sip:example.com", to=bob.uri, headers={"From": f"<{bob.uri}>;tag=1"})
    assert alice.final(answer_challenge(alice, request, "alice")).status == 401


def test_nobody_calls_under_another_name(alice: Client, bob: Client) -> None:
    sent = answer_challenge(alice, alice.request("INVITE", bob.uri), "bob")
    assert alice.final(sent).status == 407
    assert bob.unread() == []


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "OPTIONS", "SUBSCRIBE"])
def test_credentials_are_removed_before_a_request_is_relayed(alice: Client, bob: Client, method: str) -> None:
    sent = answer_challenge(alice, alice.request(method, bob.uri), "alice")
    came = bob.expect(method)
    assert came.header("Proxy-Authorization") is None
    bob.reply(came, 486)
    assert alice.final(sent).status == 486


def test_our_users_call_foreign_domains(alice: Client, carol: Client) -> None:
    sent = answer_challenge(alice, alice.request("INVITE", address_uri(carol.contact)), "alice")
    came = carol.expect("INVITE")
    assert came.header("P-Hint") == "outbound"
    assert came.header("Proxy-Authorization") is None
    carol.reply(came, 486)
    assert alice.final(sent).status == 486


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "OPTIONS"])
def test_whoever_claims_our_domain_is_challenged(
    alice: Client, bob: Client, carol: Client, method: str
) -> None:
    for uri in (bob.uri, address_uri(carol.contact), "sip:nobody@example.com"):
        reply = alice.ask(method, uri)
        assert reply.status == 407
        assert 'realm="example.com"' in (reply.header("Proxy-Authenticate") or "")
    assert bob.unread() == []
    assert carol.unread() == []


def test_strangers_call_our_users(bob: Client, carol: Client) -> None:
    invite = carol.invite(bob.uri)
    bob.reply(bob.expect("INVITE"), 486)
    assert carol.final(invite).status == 486


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "OPTIONS"])
def test_strangers_do_not_call_strangers(server: KamailioServer, carol: Client, method: str) -> None:
    with Client(server, "dave", address="127.0.0.5") as dave:
        reply = carol.ask(method, address_uri(dave.contact))
        assert (reply.status, reply.reason) == (403, "Not relaying")
        assert dave.unread() == []
