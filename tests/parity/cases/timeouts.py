"""Nobody answers: timers that are short for both servers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.parity.agent import NATED, OPEN
from tests.parity.cases.calls import talk
from tests.parity.cases.places import PAIRS, ring
from tests.parity.scene import Case, Scene

#: Without any reply, and after a provisional one, in milliseconds; repetitions in between.
PARAMETERS = {
    "tm.fr_timer": 800,
    "tm.fr_inv_timer": 1600,
    "tm.retr_timer1": 500,
    "tm.retr_timer2": 5000,
}
SECONDS = 2.2


def timeouts() -> Iterator[Case]:
    for pair in ("open -> open", "open -> nated", "nated -> open", "nated -> nated"):
        yield Case("timeouts", f"silence, {pair}", partial(_silent, pair, 0))
    yield Case("timeouts", "no answer after 180", partial(_silent, "open -> nated", 180))
    yield Case("timeouts", "no answer after early media", partial(_silent, "nated -> open", 183))
    yield Case("timeouts", "one phone rings, one is silent", _fork)
    yield Case("timeouts", "BYE without answer", _bye)


def _silent(pair: str, status: int, scene: Scene) -> None:
    alice, bob = ring(scene, *PAIRS[pair])
    invite = alice.invite(bob)
    if status:
        bob.reply("INVITE", status, body=bob.offer if status == 183 else "")
    alice.ask("MESSAGE", bob.uri)
    scene.watch(SECONDS)
    bob.reply("CANCEL", 200)
    if bob.got("CANCEL"):
        bob.reply("INVITE", 487)
    alice.ack(invite)


def _fork(scene: Scene) -> None:
    alice = scene.agent("alice")
    phones = [scene.agent("bob", OPEN), scene.agent("bob2", NATED)]
    for phone in phones:
        phone.user = phones[0].user
        phone.register()
    invite = alice.invite(phones[0])
    phones[0].reply("INVITE", 180)
    scene.watch(SECONDS)
    phones[0].reply("CANCEL", 200)
    phones[0].reply("INVITE", 487)
    alice.ack(invite)


def _bye(scene: Scene) -> None:
    alice, bob = ring(scene, NATED, NATED)
    talk(alice, bob)
    alice.within("BYE")
    scene.watch(SECONDS)
