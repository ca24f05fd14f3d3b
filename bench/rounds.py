"""Interleaved rounds: the contestants take turns, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from bench.server import Server, cores, running_on
from bench.workload import Workload

_FIRST = 256  # units of the first round, by which the number of units is chosen
_MOST = 6000  # a transaction stays in memory for 5 s after its end


@dataclass(frozen=True)
class Sample:
    """One round of one contestant, per unit."""

    cpu: float  # seconds, all processes
    wall: float  # seconds
    busy: float  # share of the time for which the server's processes ran


def measure(workload: Workload, count: int) -> Sample:
    """Play `count` units."""
    workload.prepare(count)
    server = workload.server
    with running_on(cores()[0]):
        before, begin = server.cpu_seconds(), time.perf_counter()
        workload.play()
        wall = time.perf_counter() - begin
        if server.setup.db_mode == WRITE_BACK:
            # What is written once a minute belongs to what a REGISTER costs.
            server.rpc("ul.flush")
        cpu = server.cpu_seconds() - before
    return Sample(cpu / workload.units, wall / workload.units, cpu / wall)


WRITE_BACK = 2


def play_rounds(
    servers: Mapping[str, Server], kind: type[Workload], rounds: int, seconds: float
) -> dict[str, list[Sample]]:
    """`rounds` samples of each server, each of about `seconds`; one round before them warms up and is not kept."""
    samples: dict[str, list[Sample]] = {name: [] for name in servers}
    with ExitStack() as stack:
        workloads = {name: stack.enter_context(kind(server)) for name, server in servers.items()}
        first = [measure(workload, _FIRST).wall for workload in workloads.values()]
        count = max(64, min(_MOST, int(seconds / statistics.median(first))))
        names = list(servers)
        for number in range(-1, rounds):
            # Another one begins each time.
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                sample = measure(workloads[name], count)
                if number >= 0:
                    samples[name].append(sample)
    return samples
