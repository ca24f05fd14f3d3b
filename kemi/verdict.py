"""What a rule can decide about a request.

A rule returns one of these verdicts, or None for "no opinion"; the first verdict ends the decision and
:mod:`kemi.handler` carries it out. Verdicts are values without behaviour, so a test compares them with ``==``.
"""

from __future__ import annotations

from dataclasses import dataclass, field


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
    """Say nothing at all. For scanners and floods, and for ACKs that belong to nothing.

    ``quiet``: no line in the log either (but with ``log.decisions: all``), for what attackers send by the thousand.
    """

    why: str = ""
    quiet: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"drop ({self.why})" if self.why else "drop"


@dataclass(frozen=True, slots=True)
class Absorb:
    """Nothing left to do: Kamailio has answered already (``save()``, a challenge) or is at it (a retransmission)."""

    why: str = ""

    def __str__(self) -> str:
        return f"absorb ({self.why})" if self.why else "absorb"


Verdict = Reply | Relay | Drop | Absorb


def is_refusal(verdict: Verdict) -> bool:
    """Does it end a request in a way that somebody may ask about?"""
    return (
        verdict.code >= 400 if isinstance(verdict, Reply) else isinstance(verdict, Drop) and not verdict.quiet
    )


RELAY = Relay()
DROP = Drop()
ABSORB = Absorb()
