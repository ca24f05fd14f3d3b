"""Calls across NATs while no media relay answers: refused, or passed on, as `media.unavailable` says."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from kemi.cli.paths import product_file
from kemi.testing.builders import sdp
from kemi.testing.dialog import call, hang_up
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from tests.server.phones import nated_alice, public_alice, public_bob, registered

COMPLAINT = "no media relay answers: call"

RELAYS = pytest.mark.parametrize("relay", ["refusing", "silent"])
POLICIES = pytest.mark.parametrize("policy", ["reject", "pass"])

Serve = Callable[[str, str], KamailioServer]


@pytest.fixture(scope="module")
def impatient_cfg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's kamailio.cfg, but it tries a silent relay once for a second, not five times."""
    text = product_file("kamailio.cfg").read_text()
    marker = 'modparam("rtpproxy", "rtpproxy_sock"'
    assert marker in text
    path = tmp_path_factory.mktemp("cfg") / "kamailio.cfg"
    path.write_text(text.replace(marker, f'modparam("rtpproxy", "rtpproxy_retr", 1)\n{marker}'))
    return path


@pytest.fixture(scope="module")
def serve(start_shared: Servers, impatient_cfg: Path) -> Iterator[Serve]:
    """A server with this policy whose relay refuses, or never says a word."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as refusing,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
    ):
        refusing.bind(("127.0.0.1", 0))
        refusing.connect(("127.0.0.1", 9))  # to anybody else its port is now unreachable
        silent.bind(("127.0.0.1", 0))
        sockets = {"refusing": refusing, "silent": silent}

        @cache
        def start_with(policy: str, relay: str) -> KamailioServer:
            return start_shared(
                "WITH_NAT",
                cfg=impatient_cfg,
                settings=f"media:\n  unavailable: {policy}\n",
                RTPPROXY_SOCK=f"udp:127.0.0.1:{sockets[relay].getsockname()[1]}",
            )

        yield start_with


@RELAYS
def test_a_call_across_a_nat_is_refused(serve: Serve, relay: str) -> None:
    server = serve("reject", relay)
    with nated_alice(server) as alice, registered(public_bob(server), server) as bob:
        invite = alice.invite(bob.uri)
        answer = alice.final(invite)
        assert (answer.status, answer.reason) == (503, "No media relay")
        assert alice.unread() == []
        assert bob.unread() == []
        assert f"{COMPLAINT} {invite.header('Call-ID')} (INVITE from 127.0.0.2:" in server.log_text()


@RELAYS
def test_a_call_across_a_nat_is_passed_on_unchanged(serve: Serve, relay: str) -> None:
    server = serve("pass", relay)
    with nated_alice(server) as alice, registered(public_bob(server), server) as bob:
        invite = alice.invite(bob.uri)
        came = bob.expect("INVITE")
        assert came.body == invite.body
        sent = bob.reply(came, 200, body=sdp(bob.address))
        assert alice.expect(200).body == sent.body
        assert f"{COMPLAINT} {invite.header('Call-ID')} (INVITE from 127.0.0.2:" in server.log_text()


@RELAYS
@POLICIES
def test_a_call_without_a_nat_needs_no_relay(serve: Serve, policy: str, relay: str) -> None:
    server = serve(policy, relay)
    with public_alice(server) as alice, registered(public_bob(server), server) as bob:
        invite = alice.invite(bob.uri)
        came = bob.expect("INVITE")
        assert came.body == invite.body
        bob.reply(came, 200, body=sdp(bob.address))
        alice.expect(200)
        assert f"{COMPLAINT} {invite.header('Call-ID')}" not in server.log_text()


@RELAYS
@POLICIES
def test_a_message_across_a_nat_needs_no_relay(serve: Serve, policy: str, relay: str) -> None:
    server = serve(policy, relay)
    with nated_alice(server) as alice, registered(public_bob(server), server) as bob:
        alice.send(alice.request("MESSAGE", bob.uri))
        bob.reply(bob.expect("MESSAGE"), 200)
        alice.expect(200)


@pytest.mark.parametrize("fate", ["killed", "frozen"])
@pytest.mark.parametrize("from_callee", [False, True])
def test_a_call_whose_relay_has_gone_can_still_end(
    start: Servers, impatient_cfg: Path, fate: str, from_callee: bool
) -> None:
    relay = start.relay()
    server = start("WITH_NAT", cfg=impatient_cfg, relay=relay)
    with nated_alice(server) as alice, registered(public_bob(server), server) as bob:
        calling, called = call(alice, bob)
        assert relay.sessions() == 1
        if fate == "killed":
            relay.kill()
        else:
            relay.freeze()
        side, other = (called, calling) if from_callee else (calling, called)
        hang_up(side, other)
        assert alice.ask("INVITE", bob.uri, body=sdp("10.0.0.2")).status == 503
    relay.kill()


def test_a_change_that_nobody_can_relay_is_refused_and_the_call_goes_on(
    start: Servers, impatient_cfg: Path
) -> None:
    relay = start.relay()
    server = start("WITH_NAT", cfg=impatient_cfg, relay=relay)
    with nated_alice(server) as alice, registered(public_bob(server), server) as bob:
        calling, called = call(alice, bob)
        relay.kill()
        assert alice.final(calling.send("INVITE", body=sdp("10.0.0.2"))).status == 503
        assert bob.unread() == []
        hang_up(calling, called)
