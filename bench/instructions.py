"""Instructions per unit, counted by valgrind's callgrind: noise of the machine does not touch them.

Beside them the misses of a simulated first-level cache for code: programs that do the same in as many instructions
differ in how much code they run through.

The UDP worker's instructions in user mode only: what the kernel does is the same for all. Each server is asked for N
units, then for 2 N; half of a turn is lost to no start and no end that way.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from bench.server import Server, cores, running_on
from bench.workload import Workload

_SECONDS = 60.0
# All users are registered then, and the free memory is as fragmented as it gets. A call is slow, and needs no more.
_WARM_UP, _WARM_UP_CALLS = 1200, 100
_EVENTS = re.compile(r"^events: (.*)$", re.MULTILINE)
_TOTALS = re.compile(r"^(?:summary|totals): (.*)$", re.MULTILINE)
# Size, ways, bytes of a line: of most servers' processors of the last ten years.
_CACHES = ("--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,8,64")


class Counts(NamedTuple):
    """Of the worker in user mode."""

    instructions: float
    #: Fetches of code that the first-level cache (32 kB) did not have.
    code_misses: float


def tool(folder: Path) -> list[str]:
    """The command that a server is started with."""
    return [
        "valgrind",
        "--tool=callgrind",
        "--quiet",
        # Else a process that Kamailio forks cannot be asked for its counts.
        "--trace-children=yes",
        # Counting makes the start last a minute.
        "--instr-atstart=no",
        "--cache-sim=yes",
        *_CACHES,
        f"--callgrind-out-file={folder}/callgrind.%p",
    ]


def per_unit(server: Server, kind: type[Workload], units: int) -> Counts:
    """Counts of the worker per unit, after a warm-up. The server must have been started with :func:`tool`."""
    (worker,) = server.worker_pids
    _ask("instrumentation on", worker)
    with kind(server) as workload:
        _count(workload, worker, _WARM_UP if kind.unit == "request" else _WARM_UP_CALLS)
        once, once_units = _count(workload, worker, units)
        twice, twice_units = _count(workload, worker, 2 * units)
    more = twice_units - once_units
    return Counts(*((after - before) / more for before, after in zip(once, twice, strict=True)))


def _count(workload: Workload, worker: int, units: int) -> tuple[Counts, int]:
    """What the worker does while it plays about so many units, and how many units these were."""
    workload.prepare(units)
    _ask("zero", worker)
    with running_on(cores()[0]):
        workload.play()
    pattern = f"callgrind.{worker}.*"
    before = set(workload.server.folder.glob(pattern))
    _ask("dump", worker)
    new = set(workload.server.folder.glob(pattern)) - before
    found = [counts for file in new for counts in _totals(file.read_text())]
    if not found:
        raise ValueError(f"valgrind: expected a file {pattern} with totals, found {new or 'none'}")
    return max(found), workload.units


def _totals(text: str) -> list[Counts]:
    """What a file of callgrind sums up."""
    events = _EVENTS.search(text)
    names = events[1].split() if events else []
    sums = [dict(zip(names, map(int, line.split()), strict=False)) for line in _TOTALS.findall(text)]
    # Zeros at the end of a line are left out.
    return [Counts(one["Ir"], one.get("I1mr", 0)) for one in sums if "Ir" in one]


def _ask(command: str, worker: int) -> None:
    subprocess.run(
        ["vgdb", f"--pid={worker}", *command.split()], check=True, capture_output=True, timeout=_SECONDS
    )
