"""INVITEs with all kinds of bodies."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tests.parity.cases.places import TYPICAL, ring
from tests.parity.scene import Case, Scene


def _sdp(connection: str, *lines: str) -> str:
    """SDP with an origin that is private, and any connection line ("" for none)."""
    head = ["v=0", "o=- 1 1 IN IP4 10.77.0.9", "s=-", *([f"c={connection}"] if connection else []), "t=0 0"]
    return "\r\n".join([*head, *lines, ""])


PRIVATE = "IN IP4 10.77.0.9"
AUDIO = "m=audio 4000 RTP/AVP 8"
#: {offer} is the agent's own SDP.
BODIES: dict[str, str] = {
    "two streams": "{offer}m=video 4002 RTP/AVP 96\r\n",
    "a stream of its own address": "{offer}m=video 4002 RTP/AVP 96\r\nc=IN IP4 10.77.0.99\r\n",
    "a stream that is off": "{offer}m=video 0 RTP/AVP 96\r\n",
    "only a stream that is off": _sdp(PRIVATE, "m=audio 0 RTP/AVP 8"),
    "a=nortpproxy": "{offer}a=nortpproxy:yes\r\n",
    "a=rtcp": "{offer}a=rtcp:4001\r\n",
    "hold by 0.0.0.0": _sdp("IN IP4 0.0.0.0", AUDIO),
    "IPv6": _sdp("IN IP6 2001:db8::9", AUDIO),
    "a host name": _sdp("IN IP4 phone.invalid", AUDIO),
    "no c=": _sdp("", AUDIO),
    "no m=": _sdp(PRIVATE),
    "no SDP at all": "this is no SDP\r\n",
    "LF instead of CRLF": _sdp(PRIVATE, AUDIO).replace("\r\n", "\n"),
    "DTLS and ICE": _sdp(
        PRIVATE, "m=audio 4000 UDP/TLS/RTP/SAVPF 8", "a=fingerprint:sha-1 00", "a=ice-ufrag:x"
    ),
    "text": "hello",
    "no Content-Type": "{offer}",
    "several parts": "--x\r\nContent-Type: application/sdp\r\n\r\n{offer}\r\n--x\r\n\r\nhello\r\n--x--\r\n",
}
CONTENT_TYPES: dict[str, str | None] = {
    "text": "text/plain",
    "no Content-Type": None,
    "several parts": "multipart/mixed;boundary=x",
}


def bodies() -> Iterator[Case]:
    """INVITEs with all kinds of bodies, answered and not."""
    for name, place, callee in product(BODIES, TYPICAL, TYPICAL):
        yield _body(name, place, callee)


def _body(name: str, caller: str, callee: str) -> Case:
    headers = {"Content-Type": CONTENT_TYPES[name]} if name in CONTENT_TYPES else {}

    def play(scene: Scene) -> None:
        alice, bob = ring(scene, TYPICAL[caller], TYPICAL[callee])
        invite = alice.invite(bob, body=BODIES[name].replace("{offer}", alice.offer), headers=headers)
        bob.reply("INVITE", 200, body=BODIES[name].replace("{offer}", bob.offer), headers=headers)
        alice.ack(invite)
        bob.within("BYE")
        alice.reply("BYE", 200)

    return Case("bodies", f"{name}, {caller} -> {callee}", play)
