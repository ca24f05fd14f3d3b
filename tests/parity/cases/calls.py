"""Calls from every kind of place to every other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from tests.parity.agent import Agent, Place
from tests.parity.cases.places import MEDIA, TCP, TLS, TYPICAL, places, ring
from tests.parity.scene import Case, Scene


def talk(alice: Agent, bob: Agent) -> None:
    """From INVITE to ACK."""
    invite = alice.invite(bob)
    bob.reply("INVITE", 100)
    bob.reply("INVITE", 180)
    bob.reply("INVITE", 200, body=bob.offer)
    alice.ack(invite)


def hang_up(one: Agent, other: Agent) -> None:
    one.within("BYE")
    other.reply("BYE", 200)


def _call(caller: Place, callee: Place, callee_hangs_up: bool) -> Callable[[Scene], None]:
    def play(scene: Scene) -> None:
        alice, bob = ring(scene, caller, callee)
        talk(alice, bob)
        if callee_hangs_up:
            hang_up(bob, alice)
        else:
            hang_up(alice, bob)

    return play


def calls() -> Iterator[Case]:
    """Calls between all pairs of places; who hangs up, and what the callee's SDP says, goes round."""
    for number, media in enumerate(MEDIA):
        for turn, caller in enumerate(places(media)):
            for callee in places(MEDIA[(number + turn) % len(MEDIA)]):
                callee_hangs_up = (turn + (callee.port == "other")) % 2 == 1
                yield Case("calls", f"{caller} -> {callee}", _call(caller, callee, callee_hangs_up))


def calls_over_tcp() -> Iterator[Case]:
    """Calls with TCP on one side or both."""
    yield from _over("TCP", TCP)


def calls_over_tls() -> Iterator[Case]:
    """Calls with TLS on one side or both."""
    yield from _over("TLS", TLS)


def _over(transport: str, places: dict[str, Place]) -> Iterator[Case]:
    kinds = TYPICAL | places
    for (one, caller), (other, callee) in product(kinds.items(), kinds.items()):
        if one in places or other in places:
            for callee_hangs_up in (False, True):
                name = f"{one} -> {other}, {'callee' if callee_hangs_up else 'caller'} hangs up"
                yield Case(f"calls over {transport}", name, _call(caller, callee, callee_hangs_up))
