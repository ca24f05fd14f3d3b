"""What belongs to nothing: garbage, and replies to requests that were never sent."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from tests.parity.scene import Case, Scene

STRAYS: dict[str, bytes] = {
    "nothing": b"",
    "keepalive": b"\r\n\r\n",
    "NULs": b"\0\0\0\0",
    "garbage": b"garbage\r\n\r\n",
    "half a request": b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4",
    "a first line": b"OPTIONS sip:bob@example.com SIP/2.0\r\n\r\n",
    "SIP 1.0": b"OPTIONS sip:x@example.com SIP/1.0\r\nVia: SIP/1.0/UDP 1.2.3.4\r\nCall-ID: a\r\n\r\n",
    "HTTP": b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
    "STUN": bytes.fromhex("000100002112a442000102030405060708090a0b"),
}
REPLY_VIAS = {
    "ours alone": "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKno.such.0",
    "ours and another": "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKno.such.0, SIP/2.0/UDP {alice};branch=z9hG4bK-x",
    "another": "SIP/2.0/UDP 203.0.113.250;branch=z9hG4bK-x",
    "none": None,
}


def strays() -> Iterator[Case]:
    """What belongs to nothing."""
    for name, data in STRAYS.items():
        yield Case("strays", name, partial(_raw, data))
    for status, method, vias in product(
        (100, 180, 200, 302, 486, 603), ("INVITE", "BYE", "REGISTER"), REPLY_VIAS
    ):
        yield _stray_reply(status, method, vias)


def _raw(data: bytes, scene: Scene) -> None:
    alice = scene.agent("alice")
    alice.raw(data)
    alice.ask("OPTIONS", "sip:nobody@example.com")


def _stray_reply(status: int, method: str, vias: str) -> Case:
    def play(scene: Scene) -> None:
        alice = scene.agent("alice")
        via = (REPLY_VIAS[vias] or "").format(alice=f"{alice.address[0]}:{alice.address[1]}")
        reply = alice.request(method, "", headers={"Via": via or None})
        reply.method, reply.status, reply.reason = method, status, "Stray"
        alice.send(reply)

    return Case("strays", f"{status} to {method}, Via {vias}", play)
