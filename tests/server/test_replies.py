"""What every reply meets before its transaction is looked for: by kamailio.cfg, or by a router of the user's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kemi.router import REPLY_CHECKS, REPLY_URI_CHECKS
from kemi.testing.client import Client
from kemi.testing.compose import ack_failure
from kemi.testing.message import Message
from kemi.testing.servers import Servers
from tests.server.versions import ROUTES, wait_until_served

CONFIGURATION = Path(__file__).parents[2] / "kamailio.cfg"

# That Python was asked at all can be seen of a router which does nothing of its own.
WATCHED = """
from kemi import handler, log
from kemi.router import Router as Routes


def ksr_reply_route(self, _msg):
    log.warning("Python was asked")
    return 1


handler.Handler.ksr_reply_route = ksr_reply_route
"""
OWN = (
    "from kemi import log"
    + ROUTES.replace('"one"', '"own"')
    + """
    def on_any_reply(self, reply):
        log.warning(f"saw {reply.status} of {reply.call_id}")
        super().on_any_reply(reply)
"""
)


def ringing(alice: Client, bob: Client) -> tuple[Message, Message]:
    """The INVITE as alice sent it and as bob got it."""
    invite = alice.request("INVITE", bob.uri)
    alice.send(invite)
    return invite, bob.expect("INVITE")


def give_up(alice: Client, bob: Client, invite: Message, came: Message) -> None:
    alice.cancel(invite)
    alice.expect(200)
    bob.reply(bob.expect("CANCEL"), 200)
    bob.reply(came, 487)
    alice.send(ack_failure(invite, alice.expect(487)))
    bob.expect("ACK")


@pytest.mark.parametrize("routes", [ROUTES, OWN], ids=["kamailio.cfg", "own"])
def test_a_malformed_reply_is_dropped(start: Servers, routes: str) -> None:
    server = start(routes=routes)
    with Client(server, "alice") as alice, Client(server, "bob") as bob:
        assert bob.register().status == 200
        invite, came = ringing(alice, bob)
        bob.reply(came, 180, headers={"Content-Length": "7"})
        bob.reply(came, 183)
        assert alice.expect(183).status == 183
        give_up(alice, bob, invite, came)


def test_python_is_not_asked_about_a_reply_without_need(start: Servers) -> None:
    server = start(routes=WATCHED)
    with Client(server, "alice") as alice, Client(server, "bob") as bob:
        assert bob.register().status == 200
        invite, came = ringing(alice, bob)
        bob.reply(came, 180)
        alice.expect(180)
        give_up(alice, bob, invite, came)
    assert "Python was asked" not in server.log_text()


def test_a_router_that_wants_to_see_every_reply_does_also_after_a_reload(start: Servers) -> None:
    server = start(routes=ROUTES)
    with Client(server, "alice") as alice, Client(server, "bob") as bob:
        assert bob.register().status == 200
        for routes, version, seen in ((OWN, "own", True), (ROUTES, "one", False), (OWN, "own", True)):
            (server.folder / "my_routes.py").write_text(routes)
            server.reload()
            wait_until_served(server, alice, version)
            # Several, as each may reach another worker.
            calls = []
            for _ in range(6):
                invite, came = ringing(alice, bob)
                bob.reply(came, 180)
                alice.expect(180)
                give_up(alice, bob, invite, came)
                calls.append(invite.header("Call-ID"))
            logged = server.log_text()
            assert [f"saw 180 of {one}" in logged for one in calls] == [seen] * len(calls)


def test_kamailio_cfg_checks_replies_as_the_router_does() -> None:
    found = re.findall(r'sanity_check\("(\d+)", "(\d+)"\)', CONFIGURATION.read_text())
    assert found == [(str(REPLY_CHECKS), str(REPLY_URI_CHECKS))]
