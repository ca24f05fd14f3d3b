"""Calls to a user with several phones, in several places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement

from tests.parity.agent import Agent
from tests.parity.cases.calls import hang_up
from tests.parity.cases.places import SAME_PORT, TCP, TYPICAL
from tests.parity.scene import Case, Scene

Play = Callable[[Agent, list[Agent]], None]


def _stop(phones: list[Agent]) -> None:
    for phone in phones:
        phone.reply("CANCEL", 200)
        if phone.got("CANCEL"):
            phone.reply("INVITE", 487)


def first_answers(alice: Agent, phones: list[Agent]) -> None:
    invite = alice.invite(phones[0])
    for phone in phones:
        phone.reply("INVITE", 180)
    phones[0].reply("INVITE", 200, body=phones[0].offer)
    _stop(phones[1:])
    alice.ack(invite)
    hang_up(alice, phones[0])


def last_answers(alice: Agent, phones: list[Agent]) -> None:
    invite = alice.invite(phones[0])
    for phone in phones:
        phone.reply("INVITE", 183, body=phone.offer)
    phones[-1].reply("INVITE", 200, body=phones[-1].offer)
    _stop(phones[:-1])
    alice.ack(invite)
    hang_up(phones[-1], alice)


def all_answer(alice: Agent, phones: list[Agent]) -> None:
    invite = alice.invite(phones[0])
    for phone in phones:
        phone.reply("INVITE", 200, body=phone.offer)
        alice.ack(invite)
    hang_up(alice, phones[0])


def all_busy(alice: Agent, phones: list[Agent]) -> None:
    invite = alice.invite(phones[0])
    for phone in phones:
        phone.reply("INVITE", 486)
    alice.ack(invite)


def one_busy_one_answers(alice: Agent, phones: list[Agent]) -> None:
    invite = alice.invite(phones[0])
    phones[0].reply("INVITE", 486)
    phones[-1].reply("INVITE", 200, body=phones[-1].offer)
    alice.ack(invite)
    hang_up(alice, phones[-1])


def different_failures(alice: Agent, phones: list[Agent]) -> None:
    invite = alice.invite(phones[0])
    for phone, status in zip(phones, (404, 503, 302), strict=False):
        phone.reply("INVITE", status)
    alice.ack(invite)


def declined_everywhere(alice: Agent, phones: list[Agent]) -> None:
    invite = alice.invite(phones[0])
    for phone in phones:
        phone.reply("INVITE", 180)
    phones[0].reply("INVITE", 603)
    _stop(phones[1:])
    alice.ack(invite)


def cancelled(alice: Agent, phones: list[Agent]) -> None:
    invite = alice.invite(phones[0])
    for phone in phones:
        phone.reply("INVITE", 180)
    alice.cancel(invite)
    _stop(phones)
    alice.ack(invite)


def message(alice: Agent, phones: list[Agent]) -> None:
    alice.ask("MESSAGE", phones[0].uri)
    for phone in phones:
        phone.reply("MESSAGE", 200)


FORKS: dict[str, Play] = {
    "the first answers": first_answers,
    "the last answers": last_answers,
    "all answer": all_answer,
    "all are busy": all_busy,
    "one is busy, one answers": one_busy_one_answers,
    "different failures": different_failures,
    "declined everywhere": declined_everywhere,
    "cancelled": cancelled,
    "MESSAGE": message,
}


def forks() -> Iterator[Case]:
    kinds = {**TYPICAL, "same port": SAME_PORT, **TCP}
    groups = [
        *combinations_with_replacement(kinds, 2),
        ("open", "nated", "inside"),
        ("nated", "open", "nated tcp"),
    ]
    for group in groups:
        for caller in ("open", "nated"):
            for name, fork in FORKS.items():
                yield _case(name, fork, caller, group)


def _case(name: str, fork: Play, caller: str, group: tuple[str, ...]) -> Case:
    kinds = {**TYPICAL, "same port": SAME_PORT, **TCP}

    def play(scene: Scene) -> None:
        alice = scene.agent("alice", kinds[caller])
        phones = [scene.agent(f"bob{number}", kinds[kind]) for number, kind in enumerate(group, 1)]
        for phone in phones:
            phone.user = phones[0].user
            phone.register()
        fork(alice, phones)

    return Case("forks", f"{name}, {caller} -> {' and '.join(group)}", play)
