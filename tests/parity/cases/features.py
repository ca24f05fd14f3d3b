"""Features that are switched on one by one: names, gateways, voicemail, trust."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import product

from tests.parity.agent import INSIDE, NATED, OPEN, Agent, Place
from tests.parity.cases.calls import hang_up, talk
from tests.parity.cases.endings import ENDINGS
from tests.parity.cases.places import PAIRS, TYPICAL, ring
from tests.parity.cases.requests import METHODS, TARGETS, ask
from tests.parity.network import PRIVATE, PSTN_GATEWAY, SERVER, SIP_PORT, VOICEMAIL, WORLD
from tests.parity.scene import Case, Scene
from tests.parity.world import DOMAIN, Row

SECOND_DOMAIN = "second.example"


def numbers(cases: int) -> Iterable[Row]:
    """Aliases and short numbers of alice and bob in every case, a second domain, and whom to trust."""
    alias = "INSERT INTO dbaliases (alias_username, alias_domain, username, domain) VALUES (?, ?, ?, ?)"
    short = (
        "INSERT INTO speed_dial (username, domain, sd_username, sd_domain, new_uri) VALUES (?, ?, ?, ?, ?)"
    )
    for number in range(1, cases + 1):
        yield alias, (f"alias-{number}", DOMAIN, f"bob-{number}", DOMAIN)
        yield alias, (f"outside-{number}", DOMAIN, f"carol-{number}", WORLD)
        yield alias, (f"alias-of-alias-{number}", DOMAIN, f"alias-{number}", DOMAIN)
        for digits, uri in (
            ("11", f"sip:bob-{number}@{DOMAIN}"),
            ("12", f"sip:carol-{number}@{WORLD}"),
            ("13", f"sip:nobody@{DOMAIN}"),
            ("14", "garbage"),
            ("15", f"sip:alias-{number}@{DOMAIN}"),
        ):
            yield short, (f"alice-{number}", DOMAIN, digits, DOMAIN, uri)
    yield "INSERT INTO domain (domain) VALUES (?)", (SECOND_DOMAIN,)
    yield "INSERT INTO address (grp, ip_addr, mask) VALUES (?, ?, ?)", (1, PRIVATE + "0", 24)


def _reach(name: str, group: str, user: str, method: str, where: str, *, stranger: bool = False) -> Case:
    """A request to a user of our domain; bob, and carol outside, answer if it reaches them."""

    def play(scene: Scene) -> None:
        alice = scene.agent("alice", TYPICAL[where], domain="elsewhere.example" if stranger else DOMAIN)
        bob = scene.agent("bob", NATED)
        bob.register()
        carol = scene.agent("carol", at=(WORLD, SIP_PORT))
        ask(alice, bob, method, f"sip:{user.replace('N', str(scene.number))}@{DOMAIN}")
        carol.reply(method, 486)

    return Case(group, name, play)


def aliases() -> Iterator[Case]:
    users = ("alias-N", "outside-N", "alias-of-alias-N", "no-alias-N", "bob-N")
    for user, method, where, stranger in product(
        users, ("INVITE", "MESSAGE", "SUBSCRIBE"), TYPICAL, (False, True)
    ):
        name = f"{method} to {user}, {where}{' stranger' if stranger else ''}"
        yield _reach(name, "aliases", user, method, where, stranger=stranger)


def short_numbers() -> Iterator[Case]:
    users = ("11", "12", "13", "14", "15", "99", "1", "111", "1a")
    for user, method, where, stranger in product(
        users, ("INVITE", "MESSAGE", "SUBSCRIBE"), TYPICAL, (False, True)
    ):
        name = f"{method} to {user}, {where}{' stranger' if stranger else ''}"
        yield _reach(name, "short numbers", user, method, where, stranger=stranger)


PSTN_NUMBERS = (
    "+4930123456",
    "004930123456",
    "+493",
    "+4930",
    "+0123456",
    "0012",
    "00493012345678901234567890",
    "+49301234567890123456",
    "0049abc",
    "4930123456",
    "+49-30-123",
    "%2B4930123456",
    "bob-N",
)


def pstn() -> Iterator[Case]:
    for number, method, where, stranger in product(
        PSTN_NUMBERS, ("INVITE", "MESSAGE"), TYPICAL, (False, True)
    ):
        name = f"{method} to {number}, {where}{' stranger' if stranger else ''}"
        yield _to_gateway(name, number, method, TYPICAL[where], stranger)


def _to_gateway(name: str, number: str, method: str, place: Place, stranger: bool) -> Case:
    def play(scene: Scene) -> None:
        alice = scene.agent("alice", place, domain="elsewhere.example" if stranger else DOMAIN)
        gateway = scene.agent("gateway", at=(PSTN_GATEWAY, SIP_PORT))
        ask(alice, gateway, method, f"sip:{number.replace('N', str(scene.number))}@{DOMAIN}")
        if method == "INVITE":
            hang_up(alice, gateway)

    return Case("PSTN", name, play)


def _mailbox(mailbox: Agent, answers: bool) -> None:
    mailbox.reply("INVITE", 200 if answers else 486, body=mailbox.offer if answers else "")


def voicemail() -> Iterator[Case]:
    for pair, status, answers in product(PAIRS, (0, 302, 404, 408, 480, 486, 500, 603), (True, False)):
        what = str(status) if status else "offline"
        name = f"{what}, {pair}, {'answered' if answers else 'refused'}"
        yield Case("voicemail", name, partial(_to_mailbox, pair, status, answers))
    for where, event, target in product(
        TYPICAL, ("message-summary", "presence", ""), ("bob-N@", "nobody@", "")
    ):
        yield Case(
            "voicemail", f"SUBSCRIBE {event} to {target}, {where}", partial(_waiting, where, event, target)
        )
    for where, method in product(TYPICAL, METHODS):
        yield Case("voicemail", f"{method} to nobody, {where}", partial(_nobody, where, method))
    for pair, name in product(
        PAIRS, ("CANCEL after 180", "late offer", "early media, then busy", "early media")
    ):
        yield Case("voicemail", f"{name}, {pair}", partial(_other_ending, pair, name))


def _to_mailbox(pair: str, status: int, answers: bool, scene: Scene) -> None:
    caller, callee = PAIRS[pair]
    alice, bob = scene.agent("alice", caller), scene.agent("bob", callee)
    mailbox = scene.agent("mailbox", at=(VOICEMAIL, SIP_PORT))
    if status:
        bob.register()
    invite = alice.invite(bob)
    bob.reply("INVITE", 180)
    bob.reply("INVITE", status)
    _mailbox(mailbox, answers)
    alice.ack(invite)
    if answers:
        hang_up(alice, mailbox)


def _waiting(where: str, event: str, target: str, scene: Scene) -> None:
    alice, bob = ring(scene, TYPICAL[where], NATED)
    mailbox = scene.agent("mailbox", at=(VOICEMAIL, SIP_PORT))
    uri = f"sip:{target.replace('N', str(scene.number))}{DOMAIN}"
    sent = alice.ask("SUBSCRIBE", uri, headers={"Event": event or None, "Expires": "600"})
    alice.login(sent)
    mailbox.reply("SUBSCRIBE", 200)
    mailbox.within("NOTIFY", headers={"Event": "message-summary", "Subscription-State": "active"})
    alice.reply("NOTIFY", 200)
    bob.reply("SUBSCRIBE", 489)


def _nobody(where: str, method: str, scene: Scene) -> None:
    alice = scene.agent("alice", TYPICAL[where])
    mailbox = scene.agent("mailbox", at=(VOICEMAIL, SIP_PORT))
    ask(alice, mailbox, method, f"sip:nobody@{DOMAIN}")


def _other_ending(pair: str, name: str, scene: Scene) -> None:
    scene.agent("mailbox", at=(VOICEMAIL, SIP_PORT))
    ENDINGS[name](*ring(scene, *PAIRS[pair]))


def blocked() -> Iterator[Case]:
    """Everything that a callee may refuse a call with."""
    for pair, name in product(PAIRS, ENDINGS):
        if name[:3].isdigit():
            yield Case("refusals", f"{name}, {pair}", partial(_refusal, pair, name))


def _refusal(pair: str, name: str, scene: Scene) -> None:
    ENDINGS[name](*ring(scene, *PAIRS[pair]))


def accounted() -> Iterator[Case]:
    for name in ENDINGS:
        yield Case("accounted calls", name, partial(_refusal, "open -> nated", name))


def trusted() -> Iterator[Case]:
    """The private network is trusted, all others are not."""
    places = {"trusted": INSIDE, "not trusted": OPEN}
    for method, target, where, stranger in product(METHODS, TARGETS, places, (False, True)):
        name = f"{method} to {target} by {'a stranger' if stranger else 'a user'}, {where}"
        yield Case("trust", name, partial(_trusted, method, target, places[where], stranger))


def _trusted(method: str, target: str, place: Place, stranger: bool, scene: Scene) -> None:
    alice = scene.agent("alice", place, domain="elsewhere.example" if stranger else DOMAIN)
    bob = scene.agent("bob", NATED)
    bob.register()
    ask(alice, bob, method, TARGETS[target](bob))


def domains() -> Iterator[Case]:
    """Users of the same name in two domains, and of domains that are not ours."""
    kinds = (DOMAIN, SECOND_DOMAIN, SECOND_DOMAIN.upper(), "third.example", SERVER)
    for caller, callee, target, where in product(kinds[:4], kinds, kinds, ("open", "nated")):
        name = f"{caller} -> {target}, registered at {callee}, {where}"
        yield Case("domains", name, partial(_in_domains, caller, callee, target, where))


def _in_domains(caller: str, callee: str, target: str, where: str, scene: Scene) -> None:
    alice = scene.agent("alice", TYPICAL[where], domain=caller)
    bob = scene.agent("bob", TYPICAL[where], domain=callee)
    bob.register()
    scene.users[f"{bob.user}@{callee.lower()}"] = None
    alice.ask("MESSAGE", f"sip:{bob.user}@{target}")
    bob.reply("MESSAGE", 200)


def together() -> Iterator[Case]:
    """A call between all pairs of places, with all features on."""
    for pair in PAIRS:
        yield Case("calls", pair, partial(_call, pair))


def _call(pair: str, scene: Scene) -> None:
    alice, bob = ring(scene, *PAIRS[pair])
    talk(alice, bob)
    hang_up(alice, bob)
