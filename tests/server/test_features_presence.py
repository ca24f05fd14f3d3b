"""The presence server (WITH_PRESENCE): state that one phone publishes reaches those who subscribed to it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from kemi.testing.client import Client
from kemi.testing.dialog import Dialog
from kemi.testing.message import Message
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from kemi.testing.uri import address_uri

PRESENCE = {"Event": "presence", "Expires": "600"}

# A rule that changes what a PUBLISH says before module presence reads it.
ROUTES = """
import KSR

from kemi.request import Request
from kemi.router import Router
from kemi.verdict import Verdict


class Routes(Router):
    def presence(self, request: Request) -> Verdict | None:
        if request.is_publish and KSR.hdr.is_present("X-Shorten") > 0:
            KSR.hdr.remove("Expires")
            request.append_header("Expires", "60")
        return super().presence(request)
"""

_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["as it came", "rebuilt"])
def server(start_shared: Servers, request: pytest.FixtureRequest) -> KamailioServer:
    rebuild = ["WITH_MSGREBUILD"] if request.param == "rebuilt" else []
    return start_shared("WITH_PRESENCE", *rebuild, users={}, routes=ROUTES)


@pytest.fixture
def watcher(server: KamailioServer) -> Iterator[Client]:
    with Client(server, "alice", address="127.0.0.2") as client:
        yield client


@pytest.fixture
def bob(server: KamailioServer) -> Iterator[Client]:
    """A new name for each test: watchers are notified after the answer to PUBLISH, maybe in the next test."""
    with Client(server, f"bob-{next(_numbers)}", address="127.0.0.3") as client:
        yield client


def publish(client: Client, basic: str, **headers: str) -> Message:
    """PUBLISH (RFC 3903) a presence document (RFC 3863), or none; the final reply."""
    if not basic:
        return client.ask("PUBLISH", client.uri, headers={**PRESENCE, **headers})
    body = (
        f'<?xml version="1.0"?>\r\n<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="{client.uri}">\r\n'
        f'<tuple id="t1"><status><basic>{basic}</basic></status></tuple>\r\n</presence>\r\n'
    )
    more = {**PRESENCE, "Content-Type": "application/pidf+xml", **headers}
    return client.ask("PUBLISH", client.uri, body=body, headers=more)


def subscribe(watcher: Client, uri: str, **headers: str) -> tuple[Dialog, Message]:
    """A subscription that was accepted, and the NOTIFY that comes with it (RFC 6665, section 4.2.1)."""
    request = watcher.request("SUBSCRIBE", uri, headers={**PRESENCE, **headers})
    watcher.send(request)
    answer = watcher.expect(200)
    assert answer.header("Expires") == "600"
    return Dialog.of_caller(watcher, request, answer), notified(watcher)


def notified(watcher: Client) -> Message:
    notify = watcher.expect("NOTIFY")
    watcher.reply(notify, 200)
    return notify


def test_what_was_published_before_comes_with_the_subscription(watcher: Client, bob: Client) -> None:
    answer = publish(bob, "open")
    assert answer.status == 200
    assert answer.header("SIP-ETag")
    dialog, notify = subscribe(watcher, bob.uri)
    assert notify.header("Call-ID") == dialog.call_id
    assert notify.header("Event") == "presence"
    assert (notify.header("Subscription-State") or "").startswith("active;expires=")
    assert "<basic>open</basic>" in notify.body
    assert f'entity="{bob.uri}"' in notify.body


def test_what_is_published_later_is_notified(watcher: Client, bob: Client) -> None:
    _, empty = subscribe(watcher, bob.uri)
    assert "<basic>" not in empty.body
    first = publish(bob, "open")
    assert "<basic>open</basic>" in notified(watcher).body
    second = publish(bob, "closed", **{"SIP-If-Match": first.header("SIP-ETag") or ""})
    assert second.status == 200
    assert "<basic>closed</basic>" in notified(watcher).body
    last = publish(bob, "", **{"SIP-If-Match": second.header("SIP-ETag") or "", "Expires": "0"})
    assert last.status == 200
    assert "<basic>open</basic>" not in notified(watcher).body


@pytest.mark.parametrize("with_route", [True, False])
def test_a_subscription_is_refreshed_and_ended_within_its_dialog(
    watcher: Client, bob: Client, with_route: bool
) -> None:
    dialog, first = subscribe(watcher, bob.uri)
    if not with_route:
        dialog.route = []
    dialog.send("SUBSCRIBE", headers=PRESENCE)
    refreshed = watcher.expect(200)
    assert refreshed.tag("To") == first.tag("From")
    assert (notified(watcher).header("Subscription-State") or "").startswith("active;expires=")
    dialog.send("SUBSCRIBE", headers={**PRESENCE, "Expires": "0"})
    watcher.expect(200)
    assert (notified(watcher).header("Subscription-State") or "").startswith("terminated")
    assert publish(bob, "open").status == 200
    watcher.expect_silence()


def test_what_rules_have_changed_is_seen_where_the_message_is_rebuilt(
    server: KamailioServer, bob: Client
) -> None:
    answer = publish(bob, "open", **{"X-Shorten": "yes"})
    assert answer.status == 200
    assert answer.header("Expires") == ("60" if "WITH_MSGREBUILD" in server.defines else "600")


def test_an_event_that_nobody_knows_is_refused(watcher: Client, bob: Client) -> None:
    reply = watcher.ask("SUBSCRIBE", bob.uri, headers={"Event": "nonsense", "Expires": "600"})
    assert reply.status == 489
    assert "presence" in (reply.header("Allow-Events") or "")


def test_message_waiting_is_no_presence(watcher: Client, bob: Client) -> None:
    reply = watcher.ask("SUBSCRIBE", bob.uri, headers={"Event": "message-summary", "Expires": "600"})
    assert (reply.status, reply.reason) == (404, "No voicemail service")


def test_a_subscription_behind_a_nat_is_notified_where_it_came_from(start: Servers) -> None:
    server = start("WITH_NAT", "WITH_PRESENCE", users={}, relay=start.relay())
    with (
        Client(server, "alice", address="127.0.0.2", contact_host="10.0.0.2", contact_port=5060) as watcher,
        Client(server, "bob", address="127.0.0.3") as bob,
    ):
        assert publish(bob, "open").status == 200
        watcher.send(watcher.request("SUBSCRIBE", bob.uri, headers=PRESENCE))
        watcher.expect(200)
        notify = notified(watcher)
        assert notify.uri == address_uri(watcher.contact)
        assert "<basic>open</basic>" in notify.body
        # A body that is no SDP is nothing to complain of.
        text = {"Content-Type": "text/plain"}
        assert bob.ask("MESSAGE", watcher.uri, body="Hello", headers=text).status == 404
        assert "Unable to parse sdp" not in server.log_text()
