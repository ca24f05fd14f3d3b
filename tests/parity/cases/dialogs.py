"""Requests within an established call, from either side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from kemi.testing.compose import same_transaction
from tests.parity.agent import Agent
from tests.parity.cases.calls import hang_up, talk
from tests.parity.cases.places import PAIRS, ring
from tests.parity.scene import Case, Scene

Play = Callable[[Agent, Agent], None]
HOLD = "a=sendonly\r\n"


def reinvite(one: Agent, other: Agent, *, extra: str = "", status: int = 200, late: bool = False) -> None:
    invite = one.within("INVITE", body="" if late else one.offer + extra)
    other.reply("INVITE", 100)
    if invite is None:
        return
    other.reply("INVITE", status, body=other.offer if status == 200 else "")
    one.ack(invite, body=one.offer if late else "")


def reinvite_cancelled(one: Agent, other: Agent) -> None:
    invite = one.within("INVITE", body=one.offer)
    other.reply("INVITE", 180)
    if invite is None:
        return
    one.send(same_transaction(invite, "CANCEL", invite.header("To") or ""))
    other.reply("CANCEL", 200)
    other.reply("INVITE", 487)
    one.ack(invite)


def update(one: Agent, other: Agent, *, status: int = 200, with_sdp: bool = True) -> None:
    one.within("UPDATE", body=one.offer if with_sdp else "")
    other.reply("UPDATE", status, body=other.offer if with_sdp and status == 200 else "")


def plain(method: str, status: int, one: Agent, other: Agent, **headers: str) -> None:
    one.within(method, headers={name.replace("_", "-"): value for name, value in headers.items()})
    other.reply(method, status)


def transfer(one: Agent, other: Agent) -> None:
    one.within("REFER", headers={"Refer-To": "<sip:carol@example.com>"})
    other.reply("REFER", 202)
    other.within("NOTIFY", headers={"Event": "refer", "Subscription-State": "active"})
    one.reply("NOTIFY", 200)


REQUESTS: dict[str, Play] = {
    "re-INVITE": reinvite,
    "hold": partial(reinvite, extra=HOLD),
    "re-INVITE refused with 488": partial(reinvite, status=488),
    "re-INVITE refused with 401": partial(reinvite, status=401),
    "re-INVITE refused with 491": partial(reinvite, status=491),
    "re-INVITE with a late offer": partial(reinvite, late=True),
    "re-INVITE cancelled": reinvite_cancelled,
    "UPDATE": update,
    "UPDATE without SDP": partial(update, with_sdp=False),
    "UPDATE refused": partial(update, status=488),
    "INFO": partial(plain, "INFO", 200),
    "MESSAGE": partial(plain, "MESSAGE", 200),
    "OPTIONS": partial(plain, "OPTIONS", 200),
    "NOTIFY": partial(plain, "NOTIFY", 200, Event="x", Subscription_State="active"),
    "SUBSCRIBE": partial(plain, "SUBSCRIBE", 200, Event="dialog"),
    "PUBLISH": partial(plain, "PUBLISH", 200, Event="x"),
    "REFER and NOTIFY": transfer,
    "REFER refused": partial(plain, "REFER", 603, Refer_To="<sip:carol@example.com>"),
    "unknown method": partial(plain, "FOO", 501),
    "REGISTER": partial(plain, "REGISTER", 200),
}


def _within(name: str, request: Play, by_callee: bool, pair: str) -> Case:
    def play(scene: Scene) -> None:
        alice, bob = ring(scene, *PAIRS[pair])
        talk(alice, bob)
        if by_callee:
            request(bob, alice)
        else:
            request(alice, bob)
        hang_up(alice, bob)

    return Case("dialogs", f"{name} from the {'callee' if by_callee else 'caller'}, {pair}", play)


def dialogs() -> Iterator[Case]:
    for pair in PAIRS:
        for name, request in REQUESTS.items():
            for by_callee in (False, True):
                yield _within(name, request, by_callee, pair)
