"""Requests outside dialogs, without authentication: what is refused, what is relayed, and to whom."""

from __future__ import annotations

import pytest

from kemi.testing.client import Client
from kemi.testing.dialog import record_route
from kemi.testing.message import Message
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from kemi.testing.uri import address_uri


@pytest.fixture(scope="module")
def server(start_shared: Servers) -> KamailioServer:
    return start_shared(settings="log:\n  decisions: all\n")


def line(reply: Message) -> str:
    return f"{reply.status} {reply.reason}"


def our_route(server: KamailioServer) -> list[str]:
    return [f"<sip:{server.address}:{server.port};lr>"]


@pytest.mark.parametrize(
    "method", ["INVITE", "MESSAGE", "OPTIONS", "SUBSCRIBE", "REGISTER", "PUBLISH", "INFO"]
)
@pytest.mark.parametrize("sender", ["alice@example.com", "mallory@example.net"])
def test_nothing_is_relayed_to_a_foreign_domain(
    alice: Client, carol: Client, method: str, sender: str
) -> None:
    reply = alice.ask(method, address_uri(carol.contact), headers={"From": f"<sip:{sender}>;tag=1"})
    assert line(reply) == "403 Not relaying"
    assert carol.unread() == []


@pytest.mark.parametrize(
    ("method", "uri", "event", "expected"),
    [
        ("OPTIONS", "sip:example.com", None, "200 Keepalive"),
        ("INVITE", "sip:nobody@example.com", None, "404 Not Found"),
        ("MESSAGE", "sip:nobody@example.com", None, "404 Not Found"),
        ("OPTIONS", "sip:nobody@example.com", None, "404 Not Found"),
        ("INVITE", "sip:example.com", None, "484 Address Incomplete"),
        ("PUBLISH", "sip:bob@example.com", "presence", "404 Not here"),
        ("SUBSCRIBE", "sip:example.com", "presence", "404 Not here"),
        ("SUBSCRIBE", "sip:bob@example.com", "message-summary", "404 No voicemail service"),
    ],
)
def test_what_nobody_here_can_serve_is_refused(
    alice: Client, bob: Client, method: str, uri: str, event: str | None, expected: str
) -> None:
    assert line(alice.ask(method, uri, headers={"Event": event})) == expected
    assert bob.unread() == []


@pytest.mark.parametrize(
    ("method", "uri"), [("INVITE", "sip:bob@example.com"), ("OPTIONS", "sip:example.com")]
)
def test_a_request_without_hops_left_is_refused(alice: Client, bob: Client, method: str, uri: str) -> None:
    assert line(alice.ask(method, uri, headers={"Max-Forwards": "0"})) == "483 Too Many Hops"
    assert bob.unread() == []


def test_a_method_that_the_phone_does_not_allow_is_refused(alice: Client, bob: Client) -> None:
    assert bob.register(Allow="INVITE, ACK, BYE, CANCEL").status == 200
    assert line(alice.ask("MESSAGE", bob.uri)) == "405 Method Not Allowed"
    assert bob.unread() == []
    invite = alice.invite(bob.uri)
    bob.reply(bob.expect("INVITE"), 486)
    assert alice.final(invite).status == 486


@pytest.mark.parametrize("agent", ["friendly-scanner", "SIPVicious/0.3", "sipcli/v1.8"])
def test_scanners_hear_nothing(server: KamailioServer, alice: Client, agent: str) -> None:
    scan = alice.request("OPTIONS", server.uri, headers={"User-Agent": agent})
    alice.send(scan)
    server.wait_for_log(f"{scan.header('Call-ID')} OPTIONS {server.uri} screen_scanners: drop (scanner)")
    assert alice.unread() == []


def test_a_call_reaches_the_registered_phone(alice: Client, bob: Client) -> None:
    invite = alice.invite(bob.uri)
    came = bob.expect("INVITE")
    assert came.uri == address_uri(bob.contact)
    assert came.header("Max-Forwards") == "69"
    bob.reply(came, 180)
    alice.expect(180)
    bob.reply(came, 486)
    assert alice.final(invite).status == 486
    bob.expect("ACK")


@pytest.mark.parametrize("method", ["INVITE", "SUBSCRIBE"])
def test_a_request_that_opens_a_dialog_records_the_route(
    server: KamailioServer, alice: Client, bob: Client, method: str
) -> None:
    alice.send(alice.request(method, bob.uri, headers={"Event": "dialog"}))
    came = bob.expect(method)
    assert record_route(came) == our_route(server)
    bob.reply(came, 486)


@pytest.mark.parametrize("method", ["MESSAGE", "OPTIONS", "INFO"])
def test_other_requests_record_no_route(alice: Client, bob: Client, method: str) -> None:
    alice.send(alice.request(method, bob.uri))
    came = bob.expect(method)
    assert record_route(came) == []
    bob.reply(came, 200)
    alice.expect(200)


def test_a_route_that_the_caller_wrote_is_ignored(alice: Client, bob: Client, carol: Client) -> None:
    trap = f"<sip:{carol.address}:{carol.port};lr>"
    invite = alice.invite(bob.uri, headers={"Route": trap})
    came = bob.expect("INVITE")
    assert came.header("Route") is None
    bob.reply(came, 486)
    alice.final(invite)
    assert carol.unread() == []


def test_a_call_forks_to_all_phones_of_the_callee(server: KamailioServer, alice: Client, bob: Client) -> None:
    with Client(server, "bob", address="127.0.0.5") as desk:
        assert desk.register().status == 200
        invite = alice.invite(bob.uri)
        bob.reply(bob.expect("INVITE"), 180)
        # tm may forget the CANCEL where another process takes the 200 while it is still at the 180.
        alice.expect(180)
        desk.reply(desk.expect("INVITE"), 200)
        assert alice.final(invite).status == 200
        bob.expect("CANCEL")


def test_a_cancel_follows_its_invite(alice: Client, bob: Client) -> None:
    invite = alice.invite(bob.uri)
    came = bob.expect("INVITE")
    bob.reply(came, 180)
    alice.expect(180)
    assert alice.final(alice.cancel(invite)).status == 200
    cancel = bob.expect("CANCEL")
    assert cancel.via == came.via
    bob.reply(cancel, 200)
    bob.reply(came, 487)
    assert alice.final(invite).status == 487
    bob.expect("ACK")


def test_a_cancel_without_its_invite_goes_nowhere(server: KamailioServer, alice: Client, bob: Client) -> None:
    cancel = alice.cancel(alice.request("INVITE", bob.uri))
    server.wait_for_log(f"{cancel.header('Call-ID')} CANCEL {bob.uri} cancel: absorb")
    assert alice.unread() == []
    assert bob.unread() == []


def test_a_retransmission_is_answered_from_memory(alice: Client, bob: Client) -> None:
    invite = alice.invite(bob.uri)
    came = bob.expect("INVITE")
    bob.reply(came, 180)
    ringing = alice.expect(180)
    for _ in range(3):
        alice.send(invite)
        assert alice.receive().headers == ringing.headers
    assert [message for message in bob.unread() if message.via != came.via] == []
    bob.reply(came, 486)
    assert alice.final(invite).status == 486


def test_a_retransmission_is_not_decided_again(alice: Client, bob: Client) -> None:
    # By now the decision would be another one: bob is not registered any more.
    invite = alice.invite(bob.uri)
    came = bob.expect("INVITE")
    bob.reply(came, 180)
    ringing = alice.expect(180)
    assert bob.register(expires=0).status == 200
    alice.send(invite)
    assert alice.receive().headers == ringing.headers
    bob.reply(came, 486)
    assert alice.final(invite).status == 486
    assert bob.register().status == 200
