"""Requests within dialogs: along the recorded route, and nowhere without one."""

from __future__ import annotations

import pytest

from kemi.testing.client import Client
from kemi.testing.dialog import Dialog, call, hang_up, record_route
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from kemi.testing.uri import address_uri


@pytest.fixture(scope="module")
def server(start_shared: Servers) -> KamailioServer:
    return start_shared(settings="log:\n  decisions: all\n")


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "INFO", "MESSAGE", "REFER"])
@pytest.mark.parametrize("from_callee", [False, True])
def test_requests_follow_the_recorded_route(
    alice: Client, bob: Client, method: str, from_callee: bool
) -> None:
    calling, called = call(alice, bob)
    side, peer = (called, alice) if from_callee else (calling, bob)
    side.send(method)
    came = peer.expect(method)
    assert came.uri == address_uri(peer.contact)
    assert came.header("Route") is None
    peer.reply(came, 200)
    side.client.expect(200)
    if method == "INVITE":
        side.send("ACK")
        peer.expect("ACK")


@pytest.mark.parametrize("from_callee", [False, True])
def test_either_side_hangs_up(alice: Client, bob: Client, from_callee: bool) -> None:
    calling, called = call(alice, bob)
    if from_callee:
        hang_up(called, calling)
    else:
        hang_up(calling, called)


def test_a_notify_records_the_route_again(server: KamailioServer, alice: Client, bob: Client) -> None:
    # It may arrive before the answer to SUBSCRIBE, and be all that the subscriber knows (RFC 6665, section 4.4.1).
    alice.send(alice.request("SUBSCRIBE", bob.uri, headers={"Event": "dialog"}))
    came = bob.expect("SUBSCRIBE")
    accepted = bob.reply(came, 200)
    alice.expect(200)
    Dialog.of_callee(bob, came, accepted).send("NOTIFY", headers={"Event": "dialog"})
    assert record_route(alice.expect("NOTIFY")) == [f"<sip:{server.address}:{server.port};lr>"]


@pytest.mark.parametrize("method", ["BYE", "INVITE", "INFO", "UPDATE", "SUBSCRIBE"])
def test_a_request_without_the_recorded_route_is_refused(alice: Client, carol: Client, method: str) -> None:
    to = f"<{carol.uri}>;tag=1"
    reply = alice.ask(method, address_uri(carol.contact), headers={"To": to, "Event": "dialog"})
    assert (reply.status, reply.reason) == (404, "Not here")
    assert carol.unread() == []


def test_an_ack_that_belongs_to_nothing_is_dropped(
    server: KamailioServer, alice: Client, bob: Client, carol: Client
) -> None:
    for uri in (bob.uri, address_uri(carol.contact)):
        ack = alice.request("ACK", uri, headers={"To": f"<{uri}>;tag=1"})
        alice.send(ack)
        server.wait_for_log(f"{ack.header('Call-ID')} ACK {uri} in_dialog: drop")
    assert [client.unread() for client in (alice, bob, carol)] == [[], [], []]
