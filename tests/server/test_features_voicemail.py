"""Voicemail (WITH_VOICEMAIL): who is offline, busy or silent, and whether messages wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kemi.testing.builders import sdp
from kemi.testing.client import Client
from kemi.testing.dialog import Dialog, hang_up, record_route
from kemi.testing.message import Message
from kemi.testing.process import free_port
from kemi.testing.relay import Relay
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from kemi.testing.uri import address_uri

COMPLAINT = "WITH_VOICEMAIL is defined, but voicemail.srv_ip is empty: no call goes to voicemail"
WAITING = {"Event": "message-summary", "Expires": "600"}
# kamailio.cfg's, in milliseconds
TIMERS = {"fr_timer": 30000, "fr_inv_timer": 120000}
# How many destinations one call may have, the earlier ones included: the default of Kamailio's max_branches.
MAX_BRANCHES = 12


@pytest.fixture(scope="module")
def relay(start_shared: Servers) -> Relay:
    return start_shared.relay()


@pytest.fixture(scope="module")
def unstarted(start_shared: Servers, relay: Relay) -> KamailioServer:
    server = start_shared.make("WITH_NAT", "WITH_VOICEMAIL", relay=relay)
    server.port = free_port()
    return server


@pytest.fixture(scope="module")
def mailbox(unstarted: KamailioServer) -> Iterator[Client]:
    """The voicemail server."""
    with Client(unstarted, "voicemail", address="127.0.0.6", domain="127.0.0.6") as client:
        yield client


@pytest.fixture(scope="module")
def server(unstarted: KamailioServer, mailbox: Client) -> KamailioServer:
    unstarted.values |= {"VOICEMAIL_IP": mailbox.address, "VOICEMAIL_PORT": str(mailbox.port)}
    return unstarted.start()


@pytest.fixture(autouse=True)
def no_sessions(relay: Relay) -> None:
    """Each test begins with a relay that has nothing to do."""
    relay.ask("X")
    assert relay.sessions() == 0


@pytest.fixture
def alice(server: KamailioServer) -> Iterator[Client]:
    with Client(server, "alice", address="127.0.0.2") as client:
        yield client


@pytest.fixture
def nated_alice(server: KamailioServer) -> Iterator[Client]:
    with Client(server, "alice", address="127.0.0.2", contact_host="10.0.0.2", contact_port=5060) as client:
        yield client


@pytest.fixture
def bob(server: KamailioServer) -> Iterator[Client]:
    """Registered."""
    with Client(server, "bob", address="127.0.0.3") as client:
        assert client.register().status == 200
        yield client
    server.rpc("ul.rm", "location", "bob")


@contextmanager
def patience(server: KamailioServer, timer: str) -> Iterator[None]:
    """A timer of module tm runs out after 0.3 s."""
    server.rpc("cfg.set_now_int", "tm", timer, 300)
    try:
        yield
    finally:
        server.rpc("cfg.set_now_int", "tm", timer, TIMERS[timer])


def arrives(mailbox: Client, to: str = "sip:bob@example.com", method: str = "INVITE") -> Message:
    """The request that voicemail gets: for bob at its own address, To as dialled."""
    came = mailbox.expect(method)
    assert came.uri == f"sip:bob@{mailbox.address}:{mailbox.port}"
    assert address_uri(came.header("To") or "") == to
    return came


def leave_message(caller: Client, invite: Message, mailbox: Client, came: Message) -> None:
    """Voicemail answers, and the caller hangs up after the tone."""
    sent = mailbox.reply(came, 200, body=sdp(mailbox.address))
    answer = caller.final(invite)
    assert answer.status == 200
    calling = Dialog.of_caller(caller, invite, answer)
    calling.send("ACK")
    mailbox.expect("ACK")
    hang_up(calling, Dialog.of_callee(mailbox, came, sent))


# -- calls


def test_a_call_to_who_is_offline(alice: Client, mailbox: Client) -> None:
    invite = alice.invite("sip:bob@example.com")
    leave_message(alice, invite, mailbox, arrives(mailbox))


def test_a_call_to_who_is_busy(alice: Client, bob: Client, mailbox: Client) -> None:
    invite = alice.invite(bob.uri)
    bob.reply(bob.expect("INVITE"), 486)
    bob.expect("ACK")
    leave_message(alice, invite, mailbox, arrives(mailbox))


def test_a_call_that_the_phone_gives_up(alice: Client, bob: Client, mailbox: Client) -> None:
    invite = alice.invite(bob.uri)
    came = bob.expect("INVITE")
    bob.reply(came, 180)
    alice.expect(180)
    bob.reply(came, 408)
    leave_message(alice, invite, mailbox, arrives(mailbox))


def test_a_call_to_a_phone_that_says_nothing(
    server: KamailioServer, alice: Client, bob: Client, mailbox: Client
) -> None:
    with patience(server, "fr_timer"):
        invite = alice.invite(bob.uri)
        bob.expect("INVITE")
        came = arrives(mailbox)
    leave_message(alice, invite, mailbox, came)


def test_a_call_to_a_phone_that_rings_for_too_long(
    server: KamailioServer, alice: Client, bob: Client, mailbox: Client
) -> None:
    with patience(server, "fr_inv_timer"):
        invite = alice.invite(bob.uri)
        ringing = bob.expect("INVITE")
        bob.reply(ringing, 180)
        alice.expect(180)
        bob.reply(bob.expect("CANCEL"), 200)
        bob.reply(ringing, 487)
        came = arrives(mailbox)
    leave_message(alice, invite, mailbox, came)


def test_a_call_waits_for_all_phones(
    server: KamailioServer, alice: Client, bob: Client, mailbox: Client
) -> None:
    with Client(server, "bob", address="127.0.0.5") as desk:
        assert desk.register().status == 200
        invite = alice.invite(bob.uri)
        rings = desk.expect("INVITE")
        desk.reply(rings, 180)
        alice.expect(180)
        bob.reply(bob.expect("INVITE"), 486)
        bob.expect("ACK")
        assert mailbox.unread() == []
        desk.reply(rings, 486)
        leave_message(alice, invite, mailbox, arrives(mailbox))


@pytest.mark.parametrize("status", [302, 404, 480, 500, 603])
def test_other_failures_go_to_the_caller(alice: Client, bob: Client, mailbox: Client, status: int) -> None:
    invite = alice.invite(bob.uri)
    bob.reply(bob.expect("INVITE"), status)
    assert alice.final(invite).status == status
    assert mailbox.unread() == []


@pytest.mark.parametrize("status", [486, 487])
def test_a_call_that_the_caller_gave_up_goes_nowhere(
    alice: Client, bob: Client, mailbox: Client, status: int
) -> None:
    # The phone may have refused it in the moment in which it was cancelled.
    invite = alice.invite(bob.uri)
    came = bob.expect("INVITE")
    bob.reply(came, 180)
    alice.expect(180)
    assert alice.final(alice.cancel(invite)).status == 200
    bob.reply(bob.expect("CANCEL"), 200)
    bob.reply(came, status)
    assert alice.final(invite).status == status
    assert mailbox.unread() == []


def test_only_calls_are_for_voicemail(alice: Client, mailbox: Client) -> None:
    assert alice.ask("MESSAGE", "sip:bob@example.com").status == 404
    assert mailbox.unread() == []


@pytest.mark.parametrize("online", [False, True])
def test_a_voicemail_server_that_is_busy_is_not_asked_again(
    alice: Client, mailbox: Client, relay: Relay, online: bool, request: pytest.FixtureRequest
) -> None:
    bob: Client | None = request.getfixturevalue("bob") if online else None
    invite = alice.invite("sip:bob@example.com")
    if bob:
        bob.reply(bob.expect("INVITE"), 486)
        bob.expect("ACK")
    mailbox.reply(arrives(mailbox), 486)
    assert alice.final(invite).status == 486
    mailbox.expect("ACK")
    assert mailbox.unread() == []


def test_under_the_stock_profile_it_is_asked_until_no_branch_is_left(start: Servers) -> None:
    server = start("WITH_VOICEMAIL", settings="profile: stock\n", VOICEMAIL_IP="127.0.0.6")
    with (
        Client(server, "voicemail", address="127.0.0.6") as mailbox,
        Client(server, "alice", address="127.0.0.2") as alice,
    ):
        server.rpc("cfg.set_now_string", "voicemail", "srv_port", str(mailbox.port))
        invite = alice.invite("sip:bob@example.com")
        for _ in range(MAX_BRANCHES):
            mailbox.reply(arrives(mailbox), 486)
            mailbox.expect("ACK")
        assert alice.final(invite).status >= 300
        assert mailbox.unread() == []


# -- message waiting


def test_a_subscription_to_message_waiting_goes_to_voicemail(
    server: KamailioServer, alice: Client, bob: Client, mailbox: Client
) -> None:
    # RFC 3842. It does so for who is registered, too.
    subscribe = alice.request("SUBSCRIBE", bob.uri, headers=WAITING)
    alice.send(subscribe)
    came = arrives(mailbox, method="SUBSCRIBE")
    assert record_route(came) == [f"<sip:{server.address}:{server.port};lr>"]
    accepted = mailbox.reply(came, 200, headers={"Expires": "600"})
    answer = alice.final(subscribe)
    Dialog.of_callee(mailbox, came, accepted).send("NOTIFY", headers={"Event": "message-summary"})
    alice.reply(alice.expect("NOTIFY"), 200)
    mailbox.expect(200)
    Dialog.of_caller(alice, subscribe, answer).send("SUBSCRIBE", headers=WAITING)
    refresh = mailbox.expect("SUBSCRIBE")
    mailbox.reply(refresh, 200, headers={"Expires": "600"})
    alice.expect(200)
    assert bob.unread() == []


def test_another_subscription_goes_to_the_phone(alice: Client, bob: Client, mailbox: Client) -> None:
    subscribe = alice.request("SUBSCRIBE", bob.uri, headers={"Event": "dialog"})
    alice.send(subscribe)
    bob.reply(bob.expect("SUBSCRIBE"), 489)
    assert alice.final(subscribe).status == 489
    assert mailbox.unread() == []


# -- across a NAT


def connection(message: Message) -> str:
    """The address that the SDP names."""
    return next(line for line in message.body.splitlines() if line.startswith("c=")).rpartition(" ")[2]


@pytest.mark.parametrize("busy", [False, True])
def test_a_caller_behind_a_nat_reaches_voicemail_through_the_relay(
    nated_alice: Client, mailbox: Client, relay: Relay, busy: bool, request: pytest.FixtureRequest
) -> None:
    bob: Client | None = request.getfixturevalue("bob") if busy else None
    invite = nated_alice.invite("sip:bob@example.com")
    if bob:
        first = bob.expect("INVITE")
        assert connection(first) == relay.address
        bob.reply(first, 486)
        bob.expect("ACK")
    came = arrives(mailbox)
    assert connection(came) == relay.address
    sent = mailbox.reply(came, 200, body=sdp(mailbox.address))
    answer = nated_alice.final(invite)
    assert connection(answer) == relay.address
    assert relay.sessions() == 1
    calling = Dialog.of_caller(nated_alice, invite, answer)
    assert ";nat=yes" in calling.route[0]
    calling.send("ACK")
    mailbox.expect("ACK")
    hang_up(Dialog.of_callee(mailbox, came, sent), calling)
    assert relay.sessions() == 0


def test_a_phone_behind_a_nat_that_is_busy_leaves_no_session(
    server: KamailioServer, alice: Client, mailbox: Client, relay: Relay
) -> None:
    with Client(server, "bob", address="127.0.0.3", contact_host="10.0.0.3", contact_port=5060) as bob:
        assert bob.register().status == 200
        invite = alice.invite(bob.uri)
        rings = bob.expect("INVITE")
        assert relay.sessions() == 1
        bob.reply(rings, 486)
        leave_message(alice, invite, mailbox, arrives(mailbox))
        assert relay.sessions() == 0
        server.rpc("ul.rm", "location", "bob")


# -- no voicemail server


def test_without_a_voicemail_server_the_log_says_so(start: Servers) -> None:
    server = start("WITH_VOICEMAIL")
    with Client(server, "alice", address="127.0.0.2") as alice:
        assert alice.ask("INVITE", "sip:bob@example.com").status == 404
        reply = alice.ask("SUBSCRIBE", "sip:bob@example.com", headers=WAITING)
        assert (reply.status, reply.reason) == (404, "No voicemail service")
        server.wait_for_log(COMPLAINT)
