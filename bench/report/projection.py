"""What the measured costs come to for many users. Arithmetic, not a measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

USERS = (100_000, 1_000_000, 5_000_000)


@dataclass(frozen=True)
class Habits:
    """What users do in the busy hour."""

    refresh_seconds: float = 1800  # Expires: 3600, refreshed at half of it
    keepalive_seconds: float = 30
    calls_per_hour: float = 1
    call_seconds: float = 120


@dataclass(frozen=True)
class Costs:
    """As measured: CPU microseconds, milliseconds per second and call for media, bytes per contact."""

    register: float
    keepalive: float
    call: float
    hop: float  # a request and its answer through one more proxy
    media: float
    contact: float


# A core that is busy for more of the time answers late.
BUSY = 0.5
CORES = 8  # of one machine
REGISTRARS = 2  # in a pair
# INVITE, ACK and BYE, each at the caller's and the callee's edge.
HOPS_PER_CALL = 6


@dataclass(frozen=True)
class Need:
    """For so many users: cores that are fully busy, and machines of CORES cores that are BUSY."""

    users: int
    registers: float  # per second
    keepalives: float  # per second, from each registrar
    calls: float  # per second
    held: float  # at the same time
    memory: float  # bytes of contacts in each registrar
    registrar_cores: float  # of each registrar
    pairs: int
    edge_cores: float  # of all edges
    edges: int
    relay_cores: float  # of all relays
    relays: int


def need(users: int, costs: Costs, habits: Habits | None = None) -> Need:
    """By the design of docs/cluster.md, in pairs of registrars.

    A registrar stores what the other one registers, taken to cost as much as a REGISTER, and pings all contacts: more
    registrars would each do that too, so that users are parted among pairs instead.
    """
    habits = habits or Habits()
    registers = users / habits.refresh_seconds
    keepalives = users / habits.keepalive_seconds
    calls = users * habits.calls_per_hour / 3600
    held = calls * habits.call_seconds
    # A keepalive along the Path is an OPTIONS: half of what a proxy does with a request and its answer.
    ping = costs.keepalive + costs.hop / 2
    both = (registers * costs.register + keepalives * ping + calls / REGISTRARS * costs.call) / 1e6
    pairs = max(1, _machines(both))
    edge_hops = registers + REGISTRARS * keepalives + HOPS_PER_CALL * calls
    edge_cores = edge_hops * costs.hop / 1e6
    relay_cores = held * costs.media / 1e3
    return Need(
        users,
        registers,
        keepalives,
        calls,
        held,
        users / pairs * costs.contact,
        both / pairs,
        pairs,
        edge_cores,
        max(2, _machines(edge_cores)),
        relay_cores,
        max(2, _machines(relay_cores)),
    )


def _machines(cores: float) -> int:
    return ceil(cores / (CORES * BUSY))


def costs(speed: Mapping[str, float], contact: Mapping[str, float], media: float) -> Costs:
    """From the figures of workloads (by name, CPU microseconds), of the largest table, and of the relay."""
    return Costs(
        register=speed["digest"] - speed["register"] + contact["refresh"],
        keepalive=contact["keepalive"],
        call=speed["call"],
        hop=speed["in-dialog"],
        media=media,
        contact=contact["memory"],
    )
