"""Where the agents of the cases are."""

from __future__ import annotations

from itertools import product

from tests.parity.agent import INSIDE, NATED, OPEN, Agent, Place
from tests.parity.scene import Scene

REAL = ("public", "private")
HOSTS = ("same", "private", "other")
PORTS = ("same", "other")
MEDIA = ("same", "private", "public")
#: Behind a NAT that translates the address alone; stock's test 19 finds it by its private Contact.
SAME_PORT = Place("public", "private", "same", "private")
TYPICAL = {"open": OPEN, "nated": NATED, "inside": INSIDE}
PAIRS = {f"{one} -> {other}": (TYPICAL[one], TYPICAL[other]) for one, other in product(TYPICAL, TYPICAL)}
TCP = {"open tcp": Place(transport="tcp"), "nated tcp": Place("public", "private", "other", "private", "tcp")}

TLS = {"open tls": Place(transport="tls"), "nated tls": Place("public", "private", "other", "private", "tls")}


def places(media: str = "same") -> list[Place]:
    """Every combination of real source, claimed host and claimed port."""
    return [Place(*values, media) for values in product(REAL, HOSTS, PORTS)]  # type: ignore[arg-type]


def ring(scene: Scene, caller: Place, callee: Place) -> tuple[Agent, Agent]:
    """A caller, and a callee that is registered."""
    alice, bob = scene.agent("alice", caller), scene.agent("bob", callee)
    bob.register()
    return alice, bob
