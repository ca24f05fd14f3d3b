"""Signalling through NATs (WITH_NAT): found, remembered, followed.

A client whose Contact and Via hold a private address is behind a NAT, as the server sees it.
"""

from __future__ import annotations

import re

import pytest

from kemi.testing.builders import sdp
from kemi.testing.client import Client
from kemi.testing.dialog import Dialog, call, hang_up, record_route
from kemi.testing.message import Message
from kemi.testing.relay import Relay
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from kemi.testing.uri import address_uri


@pytest.fixture(scope="module")
def server(start_shared: Servers, relay: Relay, profile: str) -> KamailioServer:
    return start_shared("WITH_NAT", relay=relay, settings=f"profile: {profile}\n")


def contact(message: Message) -> str:
    return address_uri(message.header("Contact") or "")


def plain(client: Client) -> str:
    return address_uri(client.contact)


def with_alias(client: Client) -> str:
    number = 1 if client.transport == "udp" else 2
    return f"{plain(client)};alias={client.address}~{client.port}~{number}"


def route(server: KamailioServer, nated: bool) -> list[str]:
    return [f"<sip:{server.address}:{server.port};lr{';nat=yes' if nated else ''}>"]


def test_the_answer_to_register_says_where_the_phone_really_is(nated_bob: Client) -> None:
    registered = nated_bob.register().header("Contact") or ""
    assert registered.startswith(f"{nated_bob.contact};")
    assert f'received="sip:{nated_bob.address}:{nated_bob.port}"' in registered


def test_a_phone_with_a_public_address_is_where_it_says(bob: Client) -> None:
    assert "received" not in (bob.register().header("Contact") or "")


def test_answers_go_back_to_where_the_request_came_from(server: KamailioServer, alice: Client) -> None:
    # RFC 3581, also for phones that did not ask for it with ;rport
    via = "SIP/2.0/UDP 10.0.0.2:9;branch=z9hG4bKx1"
    answer = alice.ask("OPTIONS", server.uri, headers={"Via": via})
    assert (
        answer.header("Via")
        == f"SIP/2.0/UDP 10.0.0.2:9;branch=z9hG4bKx1;rport={alice.port};received=127.0.0.2"
    )


def test_a_call_without_a_nat_is_left_alone(server: KamailioServer, alice: Client, bob: Client) -> None:
    invite = alice.invite(bob.uri)
    came = bob.expect("INVITE")
    assert contact(came) == plain(alice)
    assert record_route(came) == route(server, nated=False)
    assert came.body == invite.body
    sent = bob.reply(came, 200, body=sdp(bob.address))
    accepted = alice.expect(200)
    assert contact(accepted) == plain(bob)
    assert accepted.body == sent.body


def test_a_caller_behind_a_nat_is_found_again(
    server: KamailioServer, nated_alice: Client, bob: Client
) -> None:
    invite = nated_alice.invite(bob.uri)
    came = bob.expect("INVITE")
    assert contact(came) == with_alias(nated_alice)
    assert record_route(came) == route(server, nated=True)
    called = Dialog.of_callee(bob, came, bob.reply(came, 200))
    accepted = nated_alice.expect(200)
    assert contact(accepted) == plain(bob)
    calling = Dialog.of_caller(nated_alice, invite, accepted)
    calling.send("ACK")
    bob.expect("ACK")
    bye, _ = hang_up(called, calling)
    assert bye.uri == plain(nated_alice)  # without the alias: as the phone knows itself


def test_a_callee_behind_a_nat_is_found_again(
    server: KamailioServer, alice: Client, nated_bob: Client
) -> None:
    invite = alice.invite(nated_bob.uri)
    came = nated_bob.expect("INVITE")
    assert came.uri == plain(nated_bob)
    assert contact(came) == plain(alice)
    assert record_route(came) == route(server, nated=True)
    for status in (180, 183):
        nated_bob.reply(came, status)
        assert contact(alice.expect(status)) == with_alias(nated_bob)
    called = Dialog.of_callee(nated_bob, came, nated_bob.reply(came, 200))
    accepted = alice.expect(200)
    assert contact(accepted) == with_alias(nated_bob)
    calling = Dialog.of_caller(alice, invite, accepted)
    calling.send("ACK")
    assert nated_bob.expect("ACK").uri == plain(nated_bob)
    bye, _ = hang_up(calling, called)
    assert bye.uri == plain(nated_bob)


@pytest.mark.parametrize("from_callee", [False, True])
def test_both_behind_nats_change_and_end_their_call(
    nated_alice: Client, nated_bob: Client, from_callee: bool
) -> None:
    calling, called = call(nated_alice, nated_bob)
    side, other = (called, calling) if from_callee else (calling, called)
    side.send("INVITE", body=sdp(side.client.contact_host))
    came = other.client.expect("INVITE")
    assert came.uri == plain(other.client)
    assert contact(came) == with_alias(side.client)
    other.client.reply(came, 200, body=sdp(other.client.contact_host))
    assert contact(side.client.expect(200)) == with_alias(other.client)
    side.send("ACK")
    other.client.expect("ACK")
    hang_up(side, other)


def test_a_phone_on_tcp_is_called_through_its_own_connection(server: KamailioServer, alice: Client) -> None:
    with Client(
        server, "dave", address="127.0.0.5", transport="tcp", contact_host="10.0.0.5", contact_port=5060
    ) as dave:
        assert dave.register().status == 200
        invite = alice.invite(dave.uri)
        came = dave.expect("INVITE")
        dave.reply(came, 200)
        accepted = alice.expect(200)
        assert f";alias={dave.address}~{dave.port}~2" in contact(accepted)
        calling = Dialog.of_caller(alice, invite, accepted)
        calling.send("ACK")
        dave.expect("ACK")
        calling.send("BYE")
        dave.reply(dave.expect("BYE"), 200)
        alice.expect(200)


def test_a_contact_that_came_through_another_proxy_keeps_its_address(
    nated_alice: Client, bob: Client
) -> None:
    # The source is the proxy's address: as an alias it would lead later requests past the phone.
    invite = nated_alice.request("INVITE", bob.uri)
    invite.headers.insert(1, ("Via", "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKinner"))
    nated_alice.send(invite)
    came = bob.expect("INVITE")
    assert contact(came) == plain(nated_alice)
    bob.reply(came, 486)


@pytest.mark.parametrize(
    ("sign", "in_stock"), [("contact", True), ("via_source", True), ("source_port", True), ("sdp", False)]
)
def test_each_sign_of_a_nat_counts(
    server: KamailioServer, profile: str, alice: Client, bob: Client, sign: str, in_stock: bool
) -> None:
    invite = alice.request("INVITE", bob.uri, body=sdp("10.0.0.2" if sign == "sdp" else alice.address))
    if sign == "contact":
        invite = invite.with_header("Contact", "<sip:alice@172.16.0.2:5060>")
    host = "127.0.0.22" if sign == "via_source" else alice.address
    port = 5062 if sign == "source_port" else alice.port
    via = re.sub(r"UDP [^;]*", f"UDP {host}:{port}", invite.header("Via") or "")
    alice.send(invite.with_header("Via", via))
    came = bob.expect("INVITE")
    expected = in_stock or profile == "default"
    assert record_route(came) == route(server, nated=expected)
    assert (";alias=" in contact(came)) is expected
    bob.reply(came, 486)
