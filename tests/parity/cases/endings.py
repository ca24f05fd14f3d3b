"""Everything that can become of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from tests.parity.agent import Agent
from tests.parity.cases.calls import hang_up, talk
from tests.parity.cases.places import PAIRS, ring
from tests.parity.scene import Case, Scene

Play = Callable[[Agent, Agent], None]
RELIABLE = {"Require": "100rel", "RSeq": "1"}


def refused(status: int, alice: Agent, bob: Agent, *, ringing: bool = False) -> None:
    invite = alice.invite(bob)
    if ringing:
        bob.reply("INVITE", 180)
    headers = {}
    if 300 <= status < 400:
        headers["Contact"] = f"<sip:elsewhere@{alice.host}:9>"
    if status in (401, 407):
        name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        headers[name] = 'Digest realm="elsewhere", nonce="1234"'
    if status == 503:
        headers["Retry-After"] = "5"
    bob.reply("INVITE", status, headers=headers)
    alice.ack(invite)


def cancelled(alice: Agent, bob: Agent, *, first: int = 0, body: bool = False, late: bool = False) -> None:
    invite = alice.invite(bob)
    if first:
        bob.reply("INVITE", first, body=bob.offer if body else "")
    alice.cancel(invite)
    bob.reply("CANCEL", 200)
    if late:
        bob.reply("INVITE", 200, body=bob.offer)
        alice.ack(invite)
        hang_up(alice, bob)
    else:
        bob.reply("INVITE", 487)
        alice.ack(invite)


def cancelled_after_the_answer(alice: Agent, bob: Agent) -> None:
    invite = alice.invite(bob)
    bob.reply("INVITE", 200, body=bob.offer)
    alice.cancel(invite)
    alice.ack(invite)
    hang_up(bob, alice)


def early_media(alice: Agent, bob: Agent, *, status: int = 183, again: bool = True) -> None:
    invite = alice.invite(bob)
    bob.reply("INVITE", status, body=bob.offer)
    if again:
        bob.reply("INVITE", 180)
    bob.reply("INVITE", 200, body=bob.offer if again else "")
    alice.ack(invite)
    hang_up(alice, bob)


def early_media_then_busy(alice: Agent, bob: Agent) -> None:
    invite = alice.invite(bob)
    bob.reply("INVITE", 183, body=bob.offer)
    bob.reply("INVITE", 486)
    alice.ack(invite)


def late_offer(alice: Agent, bob: Agent, *, early: bool = False) -> None:
    invite = alice.invite(bob, body="")
    bob.reply("INVITE", 180)
    if early:
        bob.reply("INVITE", 183, body=bob.offer)
    bob.reply("INVITE", 200, body=bob.offer)
    alice.ack(invite, body=alice.offer)
    hang_up(bob, alice)


def late_offer_refused(alice: Agent, bob: Agent) -> None:
    invite = alice.invite(bob, body="")
    bob.reply("INVITE", 486)
    alice.ack(invite)


def prack(alice: Agent, bob: Agent, *, offer_in_prack: bool = False, late: bool = False) -> None:
    invite = alice.invite(bob, body="" if late else None, headers={"Supported": "100rel"})
    bob.reply("INVITE", 183, body=bob.offer, headers=RELIABLE)
    body = alice.offer if offer_in_prack or late else ""
    alice.within("PRACK", body=body, headers={"RAck": "1 1 INVITE"})
    bob.reply("PRACK", 200, body=bob.offer if offer_in_prack else "")
    bob.reply("INVITE", 200)
    alice.ack(invite)
    hang_up(alice, bob)


def early_update(alice: Agent, bob: Agent, *, by_callee: bool = False) -> None:
    invite = alice.invite(bob)
    bob.reply("INVITE", 183, body=bob.offer)
    one, other = (bob, alice) if by_callee else (alice, bob)
    one.within("UPDATE", body=one.offer)
    other.reply("UPDATE", 200, body=other.offer)
    bob.reply("INVITE", 200)
    alice.ack(invite)
    hang_up(alice, bob)


def two_early_dialogs(alice: Agent, bob: Agent) -> None:
    invite = alice.invite(bob)
    bob.reply("INVITE", 180, tag="first")
    bob.reply("INVITE", 183, body=bob.offer, tag="second")
    bob.reply("INVITE", 200, body=bob.offer, tag="second")
    alice.ack(invite)
    hang_up(alice, bob)


def no_ack(alice: Agent, bob: Agent) -> None:
    alice.invite(bob)
    bob.reply("INVITE", 200, body=bob.offer)
    hang_up(bob, alice)


def answered_without_sdp(alice: Agent, bob: Agent) -> None:
    invite = alice.invite(bob)
    bob.reply("INVITE", 200)
    alice.ack(invite)
    hang_up(alice, bob)


def never_answered(alice: Agent, bob: Agent) -> None:
    alice.invite(bob)


def invite_repeated(alice: Agent, bob: Agent, *, first: int = 0) -> None:
    invite = alice.invite(bob)
    if first:
        bob.reply("INVITE", first)
    alice.send(invite)
    bob.reply("INVITE", 200, body=bob.offer)
    alice.send(invite)
    alice.ack(invite)
    hang_up(alice, bob)


def answer_repeated(alice: Agent, bob: Agent) -> None:
    invite = alice.invite(bob)
    bob.reply("INVITE", 180)
    bob.reply("INVITE", 180)
    bob.reply("INVITE", 200, body=bob.offer)
    bob.reply("INVITE", 200, body=bob.offer)
    alice.ack(invite)
    alice.ack(invite)
    hang_up(bob, alice)


def refusal_repeated(alice: Agent, bob: Agent) -> None:
    invite = alice.invite(bob)
    bob.reply("INVITE", 486)
    bob.reply("INVITE", 486)
    alice.send(invite)
    alice.ack(invite)
    alice.ack(invite)
    alice.send(invite)


def bye_repeated(alice: Agent, bob: Agent) -> None:
    talk(alice, bob)
    bye = alice.within("BYE")
    if bye:
        alice.send(bye)
    bob.reply("BYE", 200)
    if bye:
        alice.send(bye)


def bye_refused(status: int, alice: Agent, bob: Agent) -> None:
    talk(alice, bob)
    bob.within("BYE")
    alice.reply("BYE", status)


def both_hang_up(alice: Agent, bob: Agent) -> None:
    talk(alice, bob)
    alice.within("BYE")
    bob.within("BYE")
    bob.reply("BYE", 200)
    alice.reply("BYE", 200)


def bye_before_the_answer(alice: Agent, bob: Agent) -> None:
    invite = alice.invite(bob)
    bob.reply("INVITE", 183, body=bob.offer)
    alice.within("BYE")
    bob.reply("BYE", 200)
    bob.reply("INVITE", 487)
    alice.ack(invite)


ENDINGS: dict[str, Play] = {
    **{
        str(status): partial(refused, status)
        for status in (
            300,
            301,
            302,
            305,
            380,
            400,
            401,
            403,
            404,
            407,
            408,
            415,
            420,
            480,
            481,
            482,
            483,
            484,
        )
    },
    **{
        str(status): partial(refused, status)
        for status in (486, 487, 488, 491, 500, 501, 503, 504, 513, 600, 603)
    },
    **{
        str(status) + " after 180": partial(refused, status, ringing=True)
        for status in (302, 401, 408, 486, 500, 603)
    },
    "CANCEL at once": cancelled,
    "CANCEL after 100": partial(cancelled, first=100),
    "CANCEL after 180": partial(cancelled, first=180),
    "CANCEL after early media": partial(cancelled, first=183, body=True),
    "CANCEL crosses the answer": partial(cancelled, first=180, late=True),
    "CANCEL after the answer": cancelled_after_the_answer,
    "early media": early_media,
    "early media in 180": partial(early_media, status=180),
    "early media, nothing in 200": partial(early_media, again=False),
    "early media, then busy": early_media_then_busy,
    "late offer": late_offer,
    "late offer, early media": partial(late_offer, early=True),
    "late offer refused": late_offer_refused,
    "PRACK": prack,
    "PRACK with an offer": partial(prack, offer_in_prack=True),
    "PRACK answers a late offer": partial(prack, late=True),
    "early UPDATE": early_update,
    "early UPDATE by the callee": partial(early_update, by_callee=True),
    "two early dialogs": two_early_dialogs,
    "no ACK": no_ack,
    "answer without SDP": answered_without_sdp,
    "no answer": never_answered,
    "INVITE repeated": invite_repeated,
    "INVITE repeated while it rings": partial(invite_repeated, first=180),
    "answers repeated": answer_repeated,
    "refusal repeated": refusal_repeated,
    "BYE repeated": bye_repeated,
    "BYE refused with 481": partial(bye_refused, 481),
    "BYE refused with 408": partial(bye_refused, 408),
    "BYE refused with 500": partial(bye_refused, 500),
    "both hang up": both_hang_up,
    "BYE before the answer": bye_before_the_answer,
}


def endings() -> Iterator[Case]:
    for pair in PAIRS:
        for name in ENDINGS:
            yield _ending(name, pair)


def _ending(name: str, pair: str) -> Case:
    def play(scene: Scene) -> None:
        ENDINGS[name](*ring(scene, *PAIRS[pair]))

    return Case("endings", f"{name}, {pair}", play)
