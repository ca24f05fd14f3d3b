"""A run: workload after workload on all contestants; what is finished is kept, so that it can be taken up again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from bench import instructions, latency
from bench.arena import Arena, Tool
from bench.configurations import CONTESTANTS, Setup
from bench.results import REFERENCE, Figures, Memory, Result, figures
from bench.rounds import measure, play_rounds
from bench.server import Server
from bench.stateless import Options, Register
from bench.workload import Requests
from bench.workloads import ALL, Entry, Place

#: Units for which instructions are counted, and workloads where that is done with fewer.
_COUNTED, _COUNTED_CALLS = 128, 24
_LATENCY_SECONDS = 0.5
_MEMORY_WORKERS = 8
_MEMORY_REQUESTS = 4000


@dataclass(frozen=True)
class Plan:
    """What to do."""

    workloads: Sequence[str]
    contestants: Sequence[str] = tuple(CONTESTANTS)
    #: Those of the workloads that are stored in databases, if not all: there the start takes longer than the rest.
    storing: Sequence[str] = ()
    allocators: Sequence[str] = ("qm", "tlsf")
    rounds: int = 9
    #: Length of one round.
    seconds: float = 0.2
    with_latency: bool = False
    with_memory: bool = False
    with_instructions: bool = False
    #: For this long new work is begun.
    limit: float = 3600.0


class Run:
    """Carries out a plan. `keep` is called whenever there is something new in the result."""

    def __init__(self, plan: Plan, setup: Setup, result: Result, keep: Callable[[Result], None]) -> None:
        self._plan = plan
        self._setup = setup
        self.result = result
        self._keep = keep
        self._end = time.monotonic() + plan.limit
        #: Was there time for everything?
        self.complete = True

    def play(self) -> None:
        """Raises WrongAnswersError and TimeoutError, see bench.workload; what was measured before is kept."""
        plan = self._plan
        setups = [replace(self._setup, allocator=allocator) for allocator in plan.allocators]
        # What is stored in databases comes last, should there be no time for everything.
        first, last = _by_place(plan.workloads, stored=False), _by_place(plan.workloads, stored=True)
        with Arena() as arena:
            for setup in setups:
                for place, entries in first.items():
                    self._times(arena, setup, place, entries)
                if plan.with_memory:
                    self._memory(arena, setup)
            for name, why in self.result.absent.items():
                say(f"{name} was left out: {why}")
            for setup in setups if plan.with_instructions else ():
                for place, entries in first.items():
                    self._instructions(arena, setup, place, entries)
            for setup in setups:
                for place, entries in last.items():
                    self._times(arena, setup, place, entries)

    def _has_time(self, for_what: str) -> bool:
        if time.monotonic() < self._end:
            return True
        say(f"no time left for {for_what}: run it again to go on")
        self.complete = False
        return False

    def _times(self, arena: Arena, setup: Setup, place: Place, entries: Mapping[str, Entry]) -> None:
        done = self.result.figures.setdefault(setup.allocator, {})
        left = {name: entry for name, entry in entries.items() if not self._covers(done.get(name), entry)}
        if not left or not self._has_time(f"{', '.join(left)} with {setup.allocator}"):
            return
        with self._servers(arena, replace(setup, touch_memory=True), place) as servers:
            for name, entry in left.items():
                able = {who: server for who, server in servers.items() if who not in entry.differs}
                done[name] = figures(play_rounds(able, entry.kind, self._plan.rounds, self._plan.seconds))
                kind = entry.kind
                if self._plan.with_latency and not place.db_mode and issubclass(kind, Requests):
                    _measure_latency(able, kind, done[name])
                self._keep(self.result)
                show(setup.allocator, entry, done[name])

    def _covers(self, found: Mapping[str, Figures] | None, entry: Entry) -> bool:
        wanted = set(self._contestants(entry.place)) - set(entry.differs) - set(self.result.absent)
        return found is not None and wanted <= set(found)

    def _contestants(self, place: Place) -> Sequence[str]:
        return self._plan.storing if place.db_mode and self._plan.storing else self._plan.contestants

    def _servers(
        self, arena: Arena, setup: Setup, place: Place, tool: Tool | None = None
    ) -> AbstractContextManager[dict[str, Server]]:
        return arena.servers(
            replace(setup, defines=place.defines, db_mode=place.db_mode),
            self._contestants(place),
            database=place.database,
            with_relay=place.relay,
            absent=self.result.absent,
            tool=tool,
        )

    def _instructions(self, arena: Arena, setup: Setup, place: Place, entries: Mapping[str, Entry]) -> None:
        done = self.result.figures[setup.allocator]
        left = {
            name: entry
            for name, entry in entries.items()
            if not place.db_mode
            and name in done
            and any(one.code_misses is None for one in done[name].values())
        }
        if not left or not self._has_time(f"instructions of {', '.join(left)} with {setup.allocator}"):
            return
        with self._servers(arena, setup, place, instructions.tool) as servers:
            for name, entry in left.items():
                units = _COUNTED if entry.kind.unit == "request" else _COUNTED_CALLS
                for who, found in done[name].items():
                    if who in servers:
                        counts = instructions.per_unit(servers[who], entry.kind, units)
                        found.instructions, found.code_misses = counts
                self._keep(self.result)
                show_instructions(setup.allocator, entry, done[name])

    def _memory(self, arena: Arena, setup: Setup) -> None:
        if setup.allocator in self.result.memory or not self._has_time(f"memory with {setup.allocator}"):
            return
        place = Place()
        found = self.result.memory[setup.allocator] = {}
        with self._servers(arena, replace(setup, workers=_MEMORY_WORKERS), place) as servers:
            for name, server in servers.items():
                for kind in (Register, Options):
                    with kind(server) as workload:
                        measure(workload, _MEMORY_REQUESTS)
                found[name] = Memory(server.private_bytes(), server.total_bytes())
        self._keep(self.result)
        for name, memory in found.items():
            say(
                f"memory {setup.allocator} {name}: worker {memory.worker / 1e6:.1f} MB, all {memory.all / 1e6:.1f} MB"
            )


def _by_place(names: Iterable[str], *, stored: bool) -> dict[Place, dict[str, Entry]]:
    """Workloads with the same place share their servers; those that are stored in a database, or the others."""
    places: dict[Place, dict[str, Entry]] = {}
    for name in names:
        if (ALL[name].place.db_mode != 0) is not stored:
            continue
        places.setdefault(ALL[name].place, {})[name] = ALL[name]
    return places


def _measure_latency(
    servers: Mapping[str, Server], kind: type[Requests], found: Mapping[str, Figures]
) -> None:
    for name, server in servers.items():
        rate = found[name].per_second * latency.LOAD
        with kind(server) as workload:
            found[name].latency = latency.microseconds(workload, rate, _LATENCY_SECONDS)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def show(allocator: str, entry: Entry, found: Mapping[str, Figures]) -> None:
    """The figures of one workload, for who watches."""
    say(f"{entry.title}, {allocator} (per {entry.kind.unit}: CPU time, ratio to {REFERENCE} and its spread)")
    for name, own in found.items():
        line = f"  {name:<12}{own.cpu:>8.1f} us {own.ratio:>6.2f} ({own.low:.2f}-{own.high:.2f})"
        line += f"{own.per_second:>10.0f}/s, {own.busy:.0%} busy"
        if own.latency:
            line += f"  p50 {own.latency[0]:.0f} us, p99 {own.latency[2]:.0f} us"
        say(line)


def show_instructions(allocator: str, entry: Entry, found: Mapping[str, Figures]) -> None:
    """The counts of one workload, with their ratio to the reference."""
    for name, own in found.items():
        line = f"{entry.title}, {allocator}: {name:<12}"
        for what in ("instructions", "code_misses"):
            count, reference = getattr(own, what), getattr(found[REFERENCE], what)
            if count is not None and reference:
                line += f"{count:>9.0f} {what.replace('_', ' ')} {count / reference:>5.2f}"
        say(line)
