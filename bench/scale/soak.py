"""Many messages: does the memory stay flat?"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from bench.arena import Arena
from bench.calls import Call, InDialog
from bench.configurations import Setup
from bench.scale.contacts import used
from bench.server import Server
from bench.stateless import Options, Register, Scanner, Unknown
from bench.workload import Workload

# Messages to the server per unit, and the share of each workload: mostly keepalives and refreshes, as in life.
_MIX: tuple[tuple[type[Workload], int, int], ...] = (
    (Register, 1, 40),
    (Options, 1, 40),
    (Unknown, 1, 6),
    (Scanner, 1, 8),
    (InDialog, 2, 1),
    (Call, 6, 1),
)
STEPS = 20
_BATCH = 2000  # units of the first workloads at a time


@dataclass
class Step:
    """After so many messages."""

    messages: int
    seconds: float
    #: Bytes that one worker has for itself.
    worker: int
    #: Bytes of shared memory in use.
    shared: int


def play(
    arena: Arena, base: Setup, messages: int, tell: Callable[[Step], None], name: str = "kemi"
) -> list[Step]:
    """Send so many messages; what was in use after each of STEPS equal parts."""
    steps: list[Step] = []
    with arena.servers(base, (name,), with_relay=True) as servers, ExitStack() as stack:
        server = servers[name]
        mix = [(stack.enter_context(kind(server)), per_unit, share) for kind, per_unit, share in _MIX]
        total_share = sum(share for _, _, share in mix)
        begin, done = time.monotonic(), 0
        while done < messages:
            for workload, per_unit, share in mix:
                workload.prepare(max(1, _BATCH * share // total_share))
                workload.play()
                done += workload.units * per_unit
            if done >= messages * (len(steps) + 1) / STEPS:
                steps.append(_step(server, done, time.monotonic() - begin))
                tell(steps[-1])
    return steps


def _step(server: Server, messages: int, seconds: float) -> Step:
    return Step(messages, seconds, server.private_bytes(), used(server))


def growth(steps: list[Step]) -> float:
    """Bytes that a worker has gained per message over the last half."""
    middle, last = steps[len(steps) // 2], steps[-1]
    return (last.worker - middle.worker) / (last.messages - middle.messages)
