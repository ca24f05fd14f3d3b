"""Keepalives to registered contacts, at a short interval."""

from __future__ import annotations

from collections.abc import Iterator

from tests.parity.agent import Place
from tests.parity.cases.places import TCP, places
from tests.parity.scene import Case, Scene

INTERVAL = 1
SECONDS = 2.5


def keepalives() -> Iterator[Case]:
    yield _keepalive("public phones", [place for place in places() if place.real == "public"])
    yield _keepalive("private phones", [place for place in places() if place.real == "private"])
    yield _keepalive("phones over TCP", list(TCP.values()))


def _keepalive(name: str, some: list[Place]) -> Case:
    def play(scene: Scene) -> None:
        # How many keepalives fall into a while depends on the moment: the first to each place is compared.
        scene.drop_repetitions = True
        phones = [scene.agent(f"phone{number}", place) for number, place in enumerate(some)]
        for phone in phones:
            phone.register()
        scene.watch(SECONDS)
        for phone in phones:
            phone.reply("OPTIONS", 200)
            phone.register(0)

    return Case("keepalives", name, play)
