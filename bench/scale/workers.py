"""More workers: does what a request costs stay, so that the rate can rise with the cores?"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from bench.arena import Arena
from bench.configurations import Setup
from bench.results import cpu_microseconds
from bench.rounds import play_rounds
from bench.server import cores
from bench.stateless import Options, Register
from bench.workload import Requests

WORKERS = (1, 2, 4)
_ROUNDS = 5
_SECONDS = 0.3


@dataclass
class Workers:
    """One number of workers at one workload."""

    workers: int
    workload: str
    #: Microseconds per request, all processes.
    cpu: float
    #: Requests per second.
    rate: float
    #: How many cores the server kept busy.
    cores: float


def measure(arena: Arena, base: Setup) -> list[Workers]:
    """The server has all cores but the load's; with two cores it has both, and shares one with the load."""
    available = os.sched_getaffinity(0)
    own = available - cores()[0] if len(available) > 2 else available
    found = []
    for number in WORKERS:
        kinds: tuple[type[Requests], ...] = (Register, Options)
        with arena.servers(replace(base, workers=number), ("kemi",), on=own) as servers:
            for kind in kinds:
                samples = play_rounds(servers, kind, _ROUNDS, _SECONDS)["kemi"]
                best = min(samples, key=lambda sample: sample.wall)
                found.append(Workers(number, kind.title, cpu_microseconds(samples), 1 / best.wall, best.busy))
    return found
