"""Digest authentication: who may register and call, and who may not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from kemi.testing.compose import replace
from kemi.testing.message import Message
from tests.parity.agent import NATED, OPEN, PASSWORD, Agent, Place
from tests.parity.cases.places import TYPICAL
from tests.parity.cases.requests import EVENTS
from tests.parity.scene import Case, Scene

METHODS = ("REGISTER", "INVITE", "MESSAGE", "SUBSCRIBE", "PUBLISH", "OPTIONS", "REFER")
#: Turns a request with right credentials into another one.
Change = Callable[[Message], Message]


def _field(name: str, value: str) -> Change:
    """Another value in the credentials; "" takes the field out."""
    new = f'{name}="{value}"' if value else "x=y"
    return lambda message: _credentials(
        message, lambda text: re.sub(rf'(?<![a-z]){name}="?[^",]*"?', new, text)
    )


def _credentials(message: Message, change: Callable[[str], str]) -> Message:
    name = "Authorization" if message.header("Authorization") else "Proxy-Authorization"
    return replace(message, name, change(message.header(name) or ""))


CHANGES: dict[str, Change] = {
    "right": lambda message: message,
    "wrong response": _field("response", "0" * 32),
    "short response": _field("response", "00"),
    "unknown user": _field("username", "unknown"),
    "another user": _field("username", "bob-1"),
    "user with domain": _field("username", "alice@example.com"),
    "another realm": _field("realm", "elsewhere.example"),
    "another uri": _field("uri", "sip:elsewhere.example"),
    "made-up nonce": _field("nonce", "Z2xhZG9zbmFtZQ"),
    "nonce of 2001": _field("nonce", "O1KfszrSnoe1BxxSsbP6yRCGaGvNXZMK"),
    "SHA-256": lambda message: _credentials(message, lambda text: text.replace("=MD5", "=SHA-256")),
    "no algorithm": lambda message: _credentials(message, lambda text: text.replace(", algorithm=MD5", "")),
    "no username": _field("username", ""),
    "no nonce": _field("nonce", ""),
    "no uri": _field("uri", ""),
    "no response": _field("response", ""),
    "Basic": lambda message: _credentials(message, lambda text: text.replace("Digest", "Basic")),
    "garbage": lambda message: _credentials(message, lambda text: "Digest garbage"),
    "empty": lambda message: _credentials(message, lambda text: ""),
    "From of another user": lambda message: replace(message, "From", "<sip:bob-1@example.com>;tag=from-x"),
    "From of another domain": lambda message: replace(
        message, "From", "<sip:alice@elsewhere.example>;tag=from-x"
    ),
    "To of another user": lambda message: replace(message, "To", "<sip:bob-1@example.com>"),
    "the other header": lambda message: _other_header(message),
    "both headers": lambda message: _both_headers(message),
}


def _other_header(message: Message) -> Message:
    names = ["Authorization", "Proxy-Authorization"]
    if not message.header(names[0]):
        names.reverse()
    value = message.header(names[0]) or ""
    return message.without_header(names[0]).with_header(names[1], value)


def _both_headers(message: Message) -> Message:
    value = message.header("Authorization") or message.header("Proxy-Authorization") or ""
    return replace(replace(message, "Authorization", value), "Proxy-Authorization", value)


def digest() -> Iterator[Case]:
    for method in METHODS:
        for name in CHANGES:
            yield _login(f"{method}, {name}", method, OPEN, CHANGES[name])
        for where, place in TYPICAL.items():
            yield _login(f"{method}, right, {where}", method, place, CHANGES["right"])
            yield _wrong_password(f"{method}, wrong password, {where}", method, place)
            yield _twice(f"{method}, nonce used twice, {where}", method, place)
    yield from _strangers()


def _start(scene: Scene, method: str, place: Place) -> tuple[Agent, Agent, Message, Message | None]:
    alice, bob = scene.agent("alice", place), scene.agent("bob", NATED)
    bob.register()
    scene.users[alice.user] = None
    uri = "sip:example.com" if method == "REGISTER" else bob.uri
    headers = (
        {"Event": EVENTS[method]} if method in EVENTS else {"Expires": "600"} if method == "REGISTER" else {}
    )
    request = alice.ask(method, uri, body=alice.offer if method == "INVITE" else "", headers=headers)
    answer = alice.answer(request)
    return alice, bob, request, answer if answer and answer.status in (401, 407) else None


def _finish(alice: Agent, bob: Agent, method: str, sent: Message) -> None:
    bob.reply(method, 486 if method == "INVITE" else 200)
    if method == "INVITE":
        alice.ack(sent)


def _login(name: str, method: str, place: Place, change: Change) -> Case:
    def play(scene: Scene) -> None:
        alice, bob, request, challenge = _start(scene, method, place)
        if challenge is not None:
            sent = alice.send(change(alice.with_login(request, challenge)))
            _finish(alice, bob, method, sent)

    return Case("digest", name, play)


def _wrong_password(name: str, method: str, place: Place) -> Case:
    def play(scene: Scene) -> None:
        alice, bob, request, challenge = _start(scene, method, place)
        if challenge is not None:
            sent = alice.send(alice.with_login(request, challenge, "guess"))
            second = alice.answer(sent)
            if second is not None and second.status in (401, 407):
                sent = alice.send(alice.with_login(sent, second, PASSWORD))
            _finish(alice, bob, method, sent)

    return Case("digest", name, play)


#: For the suite in which nonces are soon stale.
NONCE_SECONDS = 1


def stale() -> Iterator[Case]:
    """A nonce that was good once."""
    for method in ("REGISTER", "INVITE", "MESSAGE"):
        yield Case("digest", f"{method}, stale nonce", partial(_stale, method))


def _stale(method: str, scene: Scene) -> None:
    alice, bob, request, challenge = _start(scene, method, NATED)
    scene.watch(NONCE_SECONDS + 1.2)
    if challenge is not None:
        sent = alice.send(alice.with_login(request, challenge))
        _finish(alice, bob, method, sent)


def _twice(name: str, method: str, place: Place) -> Case:
    def play(scene: Scene) -> None:
        alice, bob, request, challenge = _start(scene, method, place)
        if challenge is not None:
            for _ in range(2):
                sent = alice.send(alice.with_login(request, challenge))
                _finish(alice, bob, method, sent)

    return Case("digest", name, play)


def _strangers() -> Iterator[Case]:
    """Who is not ours may call us, and nobody else."""
    targets: dict[str, Callable[[Agent], str]] = {
        "a user": lambda bob: bob.uri,
        "another stranger": lambda bob: f"sip:{bob.user}@{bob.address[0]}:{bob.address[1]}",
        "the server": lambda bob: "sip:example.com",
    }
    for method in METHODS:
        for target in targets:
            yield _stranger(method, target, targets[target])


def _stranger(method: str, target: str, uri: Callable[[Agent], str]) -> Case:
    def play(scene: Scene) -> None:
        mallory = scene.agent("mallory", domain="elsewhere.example")
        bob = scene.agent("bob", NATED)
        bob.register()
        sent = mallory.ask(method, uri(bob), body=mallory.offer if method == "INVITE" else "")
        _finish(mallory, bob, method, sent)

    return Case("digest", f"{method} by a stranger to {target}", play)
