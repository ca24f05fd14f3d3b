"""The shipped routes on the fake Kamailio and on a real one: the same messages go in, the same must come out."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator

import pytest

from kemi import features
from kemi.router import Router
from kemi.settings import Settings
from kemi.testing.client import Client
from kemi.testing.compose import same_transaction
from kemi.testing.dialog import Dialog
from kemi.testing.fake_server import FakeServer
from kemi.testing.handled import Handled
from kemi.testing.ksr import FakeKSR
from kemi.testing.message import Message
from kemi.testing.relay import Relay
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from tests.parity.root import MACHINE
from tests.server.oracle.server import version

#: What the real relay decides, and what the real server alone knows.
_MEDIA = re.compile(r"^(c=IN IP4|m=audio|o=).*|^a=nortpproxy:yes\r\n", re.MULTILINE)


class Twins:
    """A real server and the fake, which are sent the same."""

    def __init__(self, server: KamailioServer, ksr: FakeKSR) -> None:
        self.server = server
        ksr.own = {f"{server.address}:{server.port}", "example.com"}
        settings = Settings()
        self.fake = FakeServer(ksr, Router(settings, features.read(settings)))

    def send(self, client: Client, message: Message) -> Handled:
        """Send to both; what the fake made of it."""
        client.send(message)
        return self.receive(client, message)

    def receive(self, client: Client, message: Message) -> Handled:
        """Have the fake receive what the real server was sent."""
        message = copy.deepcopy(message)
        message.source = (client.address, client.port)
        message.destination = (self.server.address, self.server.port)
        return self.fake.handle(message)

    def answered(self, client: Client, message: Message) -> int:
        """Send to both, which must give the same answer; its status."""
        handled = self.send(client, message)
        real = client.final(message)
        assert (handled.status, handled.reply.reason) == (real.status, real.reason)
        return real.status

    def relayed(self, client: Client, message: Message, to: Client) -> Message:
        """Send to both, which must send the same on; how it arrived at the real one's callee."""
        handled = self.send(client, message)
        real = to.expect(message.method)
        assert passed_on(real) == passed_on(handled.relay.message)
        return real

    def replied(self, client: Client, request: Message, status: int, body: str, to: Client) -> Message:
        """Answer both, which must pass the same back; how it arrived at the real one's caller."""
        answer = client.reply(request, status, body=body)
        handled = self.receive(client, answer)
        real = to.expect(status)
        assert handled.passed_back is not None
        assert passed_on(real) == passed_on(handled.passed_back)
        return real


def passed_on(message: Message) -> tuple[object, ...]:
    """What routes decide: first line, headers but for the path that Kamailio keeps, body but for the media."""
    headers = sorted(pair for pair in message.headers if pair[0] not in ("Via", "Content-Length"))
    return message.uri, message.status, headers, _MEDIA.sub("", message.body)


@pytest.fixture(scope="module", params=[(), ("WITH_NAT",)], ids=["plain", "nat"])
def server(request: pytest.FixtureRequest, start_shared: Servers, relay: Relay) -> KamailioServer:
    return start_shared(*request.param, relay=relay)


@pytest.fixture
def twins(server: KamailioServer, ksr: FakeKSR) -> Twins:
    ksr.version = version(MACHINE)
    ksr.defines = dict.fromkeys(server.defines, "")
    return Twins(server, ksr)


@pytest.fixture(params=[False, True], ids=["public", "behind-nats"])
def phones(request: pytest.FixtureRequest, twins: Twins) -> Iterator[tuple[Client, Client]]:
    """Alice, and Bob who has registered. Behind NATs only where the server can reach them there."""
    nated = request.param and twins.fake.routes.features.nat
    with (
        Client(twins.server, "alice", contact_host="192.168.1.10" if nated else "") as alice,
        Client(twins.server, "bob", contact_host="10.0.0.20" if nated else "") as bob,
    ):
        register = bob.request("REGISTER", "sip:example.com", headers={"Expires": "600"})
        assert twins.answered(bob, register) == 200
        yield alice, bob
    twins.server.rpc("ul.rm", "location", "bob")


def test_a_call_is_the_same_from_invite_to_bye(twins: Twins, phones: tuple[Client, Client]) -> None:
    alice, bob = phones
    offer = "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
    invite = alice.request("INVITE", bob.uri, body=offer.format(alice.contact_host))
    came = twins.relayed(alice, invite, bob)
    twins.replied(bob, came, 180, "", alice)
    answer = twins.replied(bob, came, 200, offer.format(bob.contact_host), alice)
    caller = Dialog.of_caller(alice, invite, answer)
    twins.relayed(alice, caller.request("ACK"), bob)
    callee = Dialog.of_callee(bob, came, answer)
    twins.relayed(alice, caller.request("INFO"), bob)
    twins.relayed(bob, callee.request("BYE"), alice)


def test_a_refused_call_is_the_same(twins: Twins, phones: tuple[Client, Client]) -> None:
    alice, bob = phones
    came = twins.relayed(alice, alice.request("INVITE", bob.uri), bob)
    twins.replied(bob, came, 486, "", alice)


def test_a_cancelled_call_is_the_same(twins: Twins, phones: tuple[Client, Client]) -> None:
    alice, bob = phones
    invite = alice.request("INVITE", bob.uri)
    came = twins.relayed(alice, invite, bob)
    twins.replied(bob, came, 180, "", alice)
    cancel = same_transaction(invite, "CANCEL", invite.header("To") or "")
    handled = twins.send(alice, cancel)
    real, answer = bob.expect("CANCEL"), alice.expect(200)
    assert (handled.relay.message.uri, handled.status) == (real.uri, 200)
    assert handled.reply.reason == answer.reason
    bob.reply(real, 200)
    twins.replied(bob, came, 487, "", alice)
    assert twins.fake.handled[-1].called("tm.t_is_canceled") == [()]


ANSWERS: dict[str, tuple[str, str, dict[str, str | None], int]] = {
    "keepalive": ("OPTIONS", "sip:OWN", {}, 200),
    "nobody": ("INVITE", "sip:nobody@example.com", {}, 404),
    "no user": ("INVITE", "sip:example.com", {}, 484),
    "no hops left": ("INVITE", "sip:bob@example.com", {"Max-Forwards": "0"}, 483),
    "stranger to strangers": (
        "INVITE",
        "sip:x@foreign.example",
        {"From": "<sip:y@other.example>;tag=1"},
        403,
    ),
    "presence": ("SUBSCRIBE", "sip:bob@example.com", {"Event": "presence"}, 404),
    "stray in a dialog": ("BYE", "sip:bob@example.com", {"To": "<sip:bob@example.com>;tag=x"}, 404),
    "garbage as contact": ("REGISTER", "sip:example.com", {"Contact": "garbage<<"}, 400),
}


@pytest.mark.parametrize("label", ANSWERS)
def test_an_answer_is_the_same(twins: Twins, label: str) -> None:
    method, uri, headers, status = ANSWERS[label]
    with Client(twins.server, "alice") as alice:
        message = alice.request(method, uri.replace("sip:OWN", twins.server.uri), headers=headers)
        assert twins.answered(alice, message) == status


def test_a_scanner_gets_no_answer_from_either(twins: Twins) -> None:
    with Client(twins.server, "alice") as alice:
        probe = alice.request("OPTIONS", "sip:bob@example.com", headers={"User-Agent": "friendly-scanner"})
        assert twins.send(alice, probe).outcome() == ["nothing was sent"]
        alice.expect_silence()
