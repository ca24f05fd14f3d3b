"""Tables about NATs that are worked out: what nat_uac_test finds, and which calls would need no relay.

`{nat-signs}` asks the fake KSR, which is compared with real Kamailios; `{direct-media}` follows packets through the
mapping and filtering of the laboratory's NATs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from docutils import nodes
from kemi_tables import table
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from kemi.lab.nat import PRESETS, Filtering, Mapping, Nat
from kemi.settings import NatTest, Settings, profile
from kemi.testing import FakeKSR, Message
from kemi.testing.builders import request, sdp

PUBLIC = "192.0.2.10"


@dataclass(frozen=True)
class Phone:
    """What a phone writes about itself, and where its packets come from."""

    name: str
    sip: str
    media: str
    source: str
    websocket: bool = False

    def invite(self) -> Message:
        """Its INVITE as the server gets it."""
        message = request("INVITE", "bob", body=sdp(self.media))
        transport = "WS" if self.websocket else "UDP"
        message = message.with_header("Via", f"SIP/2.0/{transport} {self.sip};branch=z9hG4bK-1;rport")
        message = message.with_header("Contact", f"<sip:alice@{self.sip}>")
        host, _, port = self.source.partition(":")
        message.source = (host, int(port))
        message.transport = "ws" if self.websocket else "udp"
        return message


PHONES = (
    Phone("on a public address", f"{PUBLIC}:5060", PUBLIC, f"{PUBLIC}:5060"),
    Phone("behind a home router", "192.168.1.10:5060", "192.168.1.10", f"{PUBLIC}:40000"),
    Phone("behind a carrier's NAT (100.64.0.0/10)", "100.64.3.4:5060", "100.64.3.4", f"{PUBLIC}:40000"),
    Phone("asked a STUN server, NAT keeps the port", f"{PUBLIC}:40000", PUBLIC, f"{PUBLIC}:40000"),
    Phone("asked a STUN server, symmetric NAT", f"{PUBLIC}:40000", PUBLIC, f"{PUBLIC}:41234"),
    Phone(
        "its router rewrites Via and Contact, not SDP", f"{PUBLIC}:5060", "192.168.1.10", f"{PUBLIC}:40000"
    ),
    Phone("with the server in one private network", "10.0.0.7:5060", "10.0.0.7", "10.0.0.7:5060"),
    Phone(
        "in a browser, over WebSocket", "d8f3kq.invalid", "192.168.1.10", f"{PUBLIC}:52011", websocket=True
    ),
)


def nat_signs() -> str:
    """Each phone, the tests that find something, and whether each profile takes it for NATed."""
    bits = {name: profile(name).nat.bits for name in ("default", "stock")}

    def rows() -> Iterator[tuple[str, ...]]:
        ksr = FakeKSR()
        for phone in PHONES:
            ksr.receive(phone.invite())
            found = [test for test in NatTest if ksr.api.nathelper.nat_uac_test(int(test)) > 0]
            signs = ", ".join(f"`{test.name}`" for test in found) or "none"
            nated = [("yes" if any(test & asked for test in found) else "no") for asked in bits.values()]
            yield (phone.name, f"`{phone.sip}`", f"`{phone.source}`", signs, *nated)

    default = f"NATed? {Settings().nat.bits} (default)"
    return table(
        "phone",
        "says it is",
        "packets come from",
        "signs",
        default,
        f"NATed? {bits['stock']} (stock)",
        rows=rows(),
    )


def admits(callee: Nat, caller: Nat) -> bool:
    """Does a packet reach the callee that the caller sends to the address the callee learnt by STUN?

    Both have sent to each other's learnt address, so each knows the other's host.
    """
    if callee.mapping is not Mapping.ENDPOINT_INDEPENDENT:
        return False  # that hole is for the STUN server alone
    if callee.filtering is not Filtering.ADDRESS_AND_PORT_DEPENDENT:
        return True
    return caller.mapping is Mapping.ENDPOINT_INDEPENDENT  # it comes from the port that was learnt


def direct_media() -> str:
    """NATs x NATs: does sound find its way without a relay, with STUN and answers to where packets come from?"""

    def rows() -> Iterator[tuple[str, ...]]:
        for caller in PRESETS:
            # The first packet that gets through shows the other where to answer.
            cells = (
                "yes" if admits(callee, caller) or admits(caller, callee) else "**relay**"
                for callee in PRESETS
            )
            yield (f"**{caller.name}**", *cells)

    return table("caller behind ↓, callee behind →", *(nat.name for nat in PRESETS), rows=rows())


class Table(SphinxDirective):
    """Base of the directives, which call `make`."""

    make: Callable[[], str]

    def run(self) -> list[nodes.Node]:
        """Called by Sphinx."""
        return self.parse_text_to_nodes(type(self).make())


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    for name, make in {"nat-signs": nat_signs, "direct-media": direct_media}.items():
        app.add_directive(name, type(make.__name__, (Table,), {"make": staticmethod(make)}))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
