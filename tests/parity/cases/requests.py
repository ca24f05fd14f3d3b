"""Requests outside dialogs: every method, from and to everyone; routes, hops and odd request-URIs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from tests.parity.agent import NATED, OPEN, Agent, Headers, Place
from tests.parity.cases.places import TCP, TYPICAL, ring
from tests.parity.network import SERVER
from tests.parity.scene import Case, Scene

METHODS = (
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "MESSAGE",
    "INFO",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "REFER",
    "PRACK",
    "UPDATE",
    "REGISTER",
    "FOO",
)
EVENTS = {"SUBSCRIBE": "presence", "NOTIFY": "presence", "PUBLISH": "presence"}
TARGETS: dict[str, Callable[[Agent], str]] = {
    "a user": lambda bob: bob.uri,
    "a user at the server's address": lambda bob: f"sip:{bob.user}@{SERVER}:5060",
    "nobody": lambda bob: "sip:nobody@example.com",
    "the server": lambda bob: f"sip:{SERVER}",
    "the domain": lambda bob: "sip:example.com",
    "a user at the server's address without port": lambda bob: f"sip:{bob.user}@{SERVER}",
    "another domain": lambda bob: f"sip:{bob.user}@{bob.address[0]}:{bob.address[1]}",
    "another domain without user": lambda bob: f"sip:{bob.address[0]}:{bob.address[1]}",
    "another port of the server": lambda bob: f"sip:{bob.user}@{SERVER}:5070",
}


def ask(
    alice: Agent,
    bob: Agent,
    method: str,
    uri: str,
    headers: Headers | None = None,
    *,
    status: int = 200,
    again: bool = False,
) -> None:
    """A request that bob answers, should it reach him; with `again` repeated before and after."""
    body = alice.offer if method in ("INVITE", "UPDATE") else ""
    more = {"Event": EVENTS[method]} if method in EVENTS else {}
    sent = alice.ask(method, uri, body=body, headers={**more, **(headers or {})})
    sent = alice.login(sent)
    if again:
        alice.send(sent)
    bob.reply(method, status, body=bob.offer if method == "INVITE" and status == 200 else "")
    if method == "INVITE":
        alice.ack(sent)
    if again:
        alice.send(sent)


def methods() -> Iterator[Case]:
    """Every method to every target, by our users and strangers, with and without a To-tag."""
    for method, target, stranger, tag in product(METHODS, TARGETS, (False, True), (False, True)):
        name = (
            f"{method} to {target} by {'a stranger' if stranger else 'a user'}{' with To-tag' if tag else ''}"
        )
        yield _method(name, method, target, stranger, tag)
    for method, (where, place) in product(METHODS, {**TYPICAL, **TCP}.items()):
        yield _placed(f"{method} from {where}", method, place, OPEN)
        yield _placed(f"{method} to {where}", method, OPEN, place)
        yield _placed(f"{method} from and to {where}, repeated", method, place, place, again=True)


def _method(name: str, method: str, target: str, stranger: bool, tag: bool) -> Case:
    def play(scene: Scene) -> None:
        alice = scene.agent("alice", domain="elsewhere.example" if stranger else "example.com")
        bob = scene.agent("bob", NATED)
        bob.register()
        uri = TARGETS[target](bob)
        ask(alice, bob, method, uri, {"To": f"<{uri}>;tag=to-unknown"} if tag else None)

    return Case("methods", name, play)


def _placed(name: str, method: str, caller: Place, callee: Place, again: bool = False) -> Case:
    def play(scene: Scene) -> None:
        alice, bob = ring(scene, caller, callee)
        ask(alice, bob, method, bob.uri, again=again)

    return Case("methods", name, play)


SELF = f"<sip:{SERVER};lr>"
DIALOG = "<sip:x@example.com>;tag=to-1"
STRICT = f"<sip:{SERVER}>"
ALIAS = "<sip:example.com;lr>"
HEADERS: dict[str, Headers] = {
    "Max-Forwards 0": {"Max-Forwards": "0"},
    "Max-Forwards 1": {"Max-Forwards": "1"},
    "Max-Forwards 2": {"Max-Forwards": "2"},
    "Max-Forwards 255": {"Max-Forwards": "255"},
    "Max-Forwards 256": {"Max-Forwards": "256"},
    "Max-Forwards garbage": {"Max-Forwards": "many"},
    "Max-Forwards negative": {"Max-Forwards": "-1"},
    "no Max-Forwards": {"Max-Forwards": None},
    "preloaded route to us": {"Route": SELF},
    "preloaded route to our domain": {"Route": ALIAS},
    "preloaded route to us and bob": {"Route": f"{SELF}, <sip:{{bob}};lr>"},
    "preloaded route to bob": {"Route": "<sip:{bob};lr>"},
    "preloaded strict route to us": {"Route": STRICT},
    "preloaded strict route to bob": {"Route": "<sip:{bob}>"},
    "preloaded route with nat=yes": {"Route": f"<sip:{SERVER};lr;nat=yes>"},
    "route garbage": {"Route": "this is no route"},
    "in dialog, route to us": {"Route": SELF, "To": DIALOG},
    "in dialog, route to us with nat=yes": {
        "Route": f"<sip:{SERVER};lr;nat=yes>",
        "To": DIALOG,
    },
    "in dialog, two routes to us": {"Route": f"{SELF}, {SELF}", "To": DIALOG},
    "in dialog, route to us and bob": {
        "Route": f"{SELF}, <sip:{{bob}};lr>",
        "To": DIALOG,
    },
    "in dialog, route to us and strictly to bob": {
        "Route": f"{SELF}, <sip:{{bob}}>",
        "To": DIALOG,
    },
    "in dialog, strict route to us": {"Route": STRICT, "To": DIALOG},
    "in dialog, route to bob": {"Route": "<sip:{bob};lr>", "To": DIALOG},
    "in dialog, route to bob and us": {
        "Route": f"<sip:{{bob}};lr>, {SELF}",
        "To": DIALOG,
    },
    "in dialog, no route": {"To": DIALOG},
    "empty To-tag": {"To": "<sip:x@example.com>;tag="},
    "Record-Route already": {"Record-Route": "<sip:203.0.113.250;lr>"},
    "P-Asserted-Identity": {"P-Asserted-Identity": "<sip:boss@example.com>"},
    "Require": {"Require": "something"},
    "Proxy-Require": {"Proxy-Require": "something"},
    "Supported path": {"Supported": "path, 100rel, timer"},
    "From without tag": {"From": "<sip:alice@example.com>"},
    "From anonymous": {"From": '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=from-x'},
    "From tel": {"From": "<tel:+4930123456>;tag=from-x"},
    "From garbage": {"From": "garbage"},
    "To tel": {"To": "<tel:+4930123456>"},
    "To garbage": {"To": "<<>"},
    "no To": {"To": None},
    "no From": {"From": None},
    "no Call-ID": {"Call-ID": None},
    "no CSeq": {"CSeq": None},
    "no Via": {"Via": None},
    "no Contact": {"Contact": None},
    "Contact garbage": {"Contact": "<sip:"},
    "Contact *": {"Contact": "*"},
    "two Contacts": {"Contact": "<sip:a@10.1.1.1>, <sip:b@10.1.1.2>"},
    "Contact with alias": {"Contact": "<sip:a@10.1.1.1;alias=203.0.113.250~1~1>"},
    "Contact without brackets": {"Contact": "sip:a@10.77.0.1:9"},
    "Contact with a name": {"Contact": "<sip:a@phone.invalid>"},
    "Contact with IPv6": {"Contact": "<sip:a@[2001:db8::7]>"},
    "CSeq of another method": {"CSeq": "1 BYE"},
    "Content-Length too big": {"Content-Length": "9999"},
    "Content-Length too small": {"Content-Length": "5"},
    "Content-Length garbage": {"Content-Length": "x"},
    "Expires": {"Expires": "60"},
    "bad Expires": {"Expires": "never"},
    "Date": {"Date": "Fri, 20 Nov 2026 10:00:00 GMT"},
    **{
        f"User-Agent {name}": {"User-Agent": name}
        for name in (
            "friendly-scanner",
            "sipcli/1.8",
            "SIPVicious",
            "VaxSIPUserAgent/3.1",
            "pplsip",
            "Scanner",
            "Phone",
        )
    },
    "Event message-summary": {"Event": "message-summary"},
}
URIS = {
    "tel": "tel:+4930123456",
    "sips": "sips:{user}@example.com",
    "URI with parameters": "sip:{user}@example.com;user=phone;x=y",
    "URI with headers": "sip:{user}@example.com?Subject=x",
    "URI with password": "sip:{user}:pass@example.com",
    "URI with escapes": "sip:%62ob@example.com",
    "URI with port": "sip:{user}@example.com:5060",
    "URI with another port": "sip:{user}@example.com:5070",
    "URI with transport": "sip:{user}@example.com;transport=tcp",
    "URI with lr": "sip:{user}@example.com;lr",
    "URI with alias": "sip:{user}@example.com;alias=203.0.113.250~1~1",
    "URI with maddr": "sip:{user}@example.com;maddr=203.0.113.250",
    "URI in capitals": "SIP:{user}@EXAMPLE.COM",
    "URI of a scheme nobody knows": "pigeon:{user}@example.com",
    "URI garbage": "example.com",
    "URI that does not resolve": "sip:{user}@host.invalid",
    "URI with a bad port": "sip:{user}@example.com:99999",
    "URI of digits": "sip:+4930123456@example.com",
    "URI of two digits": "sip:11@example.com",
    "URI of IPv6": "sip:{user}@[2001:db8::1]",
    "URI empty user": "sip:@example.com",
}


def fields() -> Iterator[Case]:
    """Requests with other headers or request-URIs than usual."""
    for name, headers in HEADERS.items():
        for method, (where, place) in product(("INVITE", "MESSAGE", "SUBSCRIBE", "BYE"), TYPICAL.items()):
            yield _field(f"{method} with {name}, {where}", method, place, "sip:{user}@example.com", headers)
    for name, uri in URIS.items():
        for method, (where, place) in product(("INVITE", "MESSAGE", "SUBSCRIBE"), TYPICAL.items()):
            yield _field(f"{method} with {name}, {where}", method, place, uri, {})


def _field(name: str, method: str, place: Place, uri: str, headers: Headers) -> Case:
    def play(scene: Scene) -> None:
        alice, bob = ring(scene, place, NATED)
        where = f"{bob.address[0]}:{bob.address[1]}"
        filled = {key: value and value.replace("{bob}", where) for key, value in headers.items()}
        ask(alice, bob, method, uri.replace("{user}", bob.user), filled)

    return Case("fields", name, play)
