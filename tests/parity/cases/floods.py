"""Too much from one address: WITH_ANTIFLOOD."""

from __future__ import annotations

from collections.abc import Iterator

from tests.parity.agent import NATED, OPEN, Place
from tests.parity.cases.places import TCP
from tests.parity.scene import Case, Scene

METHODS = ("OPTIONS", "REGISTER", "INVITE", "MESSAGE", "ACK")


def floods() -> Iterator[Case]:
    for method in METHODS:
        for where, place in {"open": OPEN, "nated": NATED, "open tcp": TCP["open tcp"]}.items():
            yield _flood(f"{method}, {where}", method, place)


def _flood(name: str, method: str, place: Place) -> Case:
    def play(scene: Scene) -> None:
        mallory, bob = scene.agent("mallory", place), scene.agent("bob")
        for _ in range(30):
            mallory.ask(method, "sip:example.com" if method == "REGISTER" else "sip:nobody@example.com")
        # Banned or not, and whoever lives elsewhere is not.
        mallory.register()
        mallory.invite(bob)
        bob.register()

    return Case("floods", name, play)
