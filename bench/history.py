"""Results that are kept in the repository, and what has become worse since."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.results import REFERENCE, Result

HISTORY = Path(__file__).parent / "history"
# Between two runs of the same code on a quiet machine medians move by less.
TOLERANCE = 1.05


@dataclass(frozen=True)
class Change:
    """A ratio to the reference in two results."""

    allocator: str
    workload: str
    contestant: str
    before: float
    after: float
    #: Lowest and highest of the later result's rounds, and the highest of the earlier one's.
    is_worse: bool

    def __str__(self) -> str:
        mark = "  WORSE" if self.is_worse else ""
        return (
            f"{self.allocator:<6}{self.workload:<24}{self.contestant:<12}"
            f"{self.before:>6.2f} -> {self.after:.2f} ({self.after / self.before - 1:+.0%}){mark}"
        )


def kept(version: str = "") -> list[Path]:
    """Results of a Kamailio version, or of all, the oldest first."""
    # Beside them are files of bench.micro and of bench scale, whose names do not begin with a date.
    return sorted(HISTORY.glob(f"[0-9]*-kamailio{version or '*'}.json"))


def file_for(result: Result) -> Path:
    """Where a result is kept."""
    date = result.machine["date"].replace(" ", "T").replace(":", "")
    return HISTORY / f"{date}-kamailio{result.kamailio}.json"


def latest() -> list[Result]:
    """The newest result of each Kamailio version, the oldest version first."""
    newest = {result.kamailio: result for result in map(Result.read, kept())}
    return [newest[version] for version in sorted(newest)]


def changes(before: Result, after: Result) -> list[Change]:
    """What both have measured. Worse costs more by TOLERANCE: in instructions if both counted them, else in time."""
    found = []
    for allocator, workloads in after.figures.items():
        for workload, contestants in workloads.items():
            old = before.figures.get(allocator, {}).get(workload, {})
            for name, figures in contestants.items():
                if name == REFERENCE or name not in old:
                    continue
                worse = figures.ratio > old[name].ratio * TOLERANCE
                counted = _instruction_ratio(before, allocator, workload, name)
                counted_now = _instruction_ratio(after, allocator, workload, name)
                if counted and counted_now:
                    # Counts do not depend on how quiet the machine was.
                    worse = counted_now > counted * TOLERANCE
                found.append(Change(allocator, workload, name, old[name].ratio, figures.ratio, worse))
    return found


def _instruction_ratio(result: Result, allocator: str, workload: str, name: str) -> float | None:
    contestants = result.figures[allocator][workload]
    own, reference = contestants[name].instructions, contestants[REFERENCE].instructions
    return own / reference if own and reference else None
