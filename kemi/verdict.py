"""What a rule can decide about a request.

A rule returns one of these verdicts, or None for "no opinion"; the first verdict ends the decision and
:mod:`kemi.handler` carries it out. Verdicts are values without behaviour, so a test compares them with ``==``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer the request ourselves.

    ``stateful`` creates a transaction first, so that retransmissions of the request are answered from memory and
    the ACK to a failed INVITE finds its transaction (RFC 3261, section 17.2.1). Kamailio's stock configuration
    replies statelessly everywhere except after a failed lookup; rules here do the same.
    """

    code: int
    reason: str
    stateful: bool = False

    def __str__(self) -> str:
        return f"{self.code} {self.reason}"


@dataclass(frozen=True, slots=True)
class Relay:
    """Forward the request to where its request-URI, route set and destination set point now."""

    def __str__(self) -> str:
        return "relay"


@dataclass(frozen=True, slots=True)
class Drop:
    """Say nothing at all. For scanners and floods, and for ACKs that belong to nothing."""

    why: str = ""

    def __str__(self) -> str:
        return f"drop ({self.why})" if self.why else "drop"


@dataclass(frozen=True, slots=True)
class Absorb:
    """Nothing left to do: Kamailio has answered already (``save()``, a challenge) or is at it (a retransmission)."""

    why: str = ""

    def __str__(self) -> str:
        return f"absorb ({self.why})" if self.why else "absorb"


Verdict = Reply | Relay | Drop | Absorb

RELAY = Relay()
DROP = Drop()
ABSORB = Absorb()
