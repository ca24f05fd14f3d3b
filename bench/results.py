"""What came of a run, kept as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from bench.rounds import Sample
from kemi.cli.paths import kamailio_environment
from tests.parity.root import Root

REFERENCE = "stock"


@dataclass
class Figures:
    """One contestant at one workload, per unit."""

    #: CPU time of all processes in microseconds: the median of all rounds.
    cpu: float
    #: To the reference in the same round: the median, and between what the middle half of the rounds lies.
    ratio: float
    low: float
    high: float
    #: Units per second with one worker: the median of all rounds.
    per_second: float
    #: For how much of the time the server's processes ran: near 1, the server was what limited the rate.
    busy: float
    #: In user mode, of the worker.
    instructions: float | None = None
    #: Microseconds, see bench.latency.PERCENTILES.
    latency: list[float] | None = None
    #: Fetches of code that are not in the worker's first-level cache, see bench.instructions.
    code_misses: float | None = None


@dataclass
class Memory:
    """Bytes of one server with 8 workers."""

    #: What one worker has for itself.
    worker: int
    #: All processes, with what they share counted once.
    all: int


@dataclass
class Result:
    """One run: workloads by allocator and name, then by contestant."""

    machine: dict[str, str]
    rounds: int
    figures: dict[str, dict[str, dict[str, Figures]]] = field(default_factory=dict)
    memory: dict[str, dict[str, Memory]] = field(default_factory=dict)
    #: Contestants that could not run, and why.
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def kamailio(self) -> str:
        """The version, as 5.6.3."""
        return self.machine["kamailio"]

    @classmethod
    def read(cls, file: Path) -> Self:
        """Raises ValueError for a file that no run has written."""
        try:
            data: dict[str, Any] = json.loads(file.read_text())
            figures = {
                allocator: {
                    workload: {name: Figures(**values) for name, values in contestants.items()}
                    for workload, contestants in workloads.items()
                }
                for allocator, workloads in data.pop("figures").items()
            }
            memory = {
                allocator: {name: Memory(**values) for name, values in contestants.items()}
                for allocator, contestants in data.pop("memory").items()
            }
            return cls(figures=figures, memory=memory, **data)
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{file}: expected the result of a benchmark, found otherwise: {error}"
            ) from error

    def write(self, file: Path) -> None:
        """Whole or not at all: a run that is killed leaves the file of before."""
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        new.write_text(json.dumps(_rounded(asdict(self)), indent=1) + "\n")
        new.replace(file)


def _rounded(value: Any) -> Any:
    """Four digits say all that was measured."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value


def cpu_microseconds(samples: Sequence[Sample]) -> float:
    """Per unit, the median of all rounds."""
    return statistics.median(sample.cpu for sample in samples) * 1e6


def figures(samples: Mapping[str, Sequence[Sample]]) -> dict[str, Figures]:
    """Of the rounds of all contestants at one workload."""
    reference = samples[REFERENCE]
    found = {}
    for name, own in samples.items():
        ratios = [one.cpu / other.cpu for one, other in zip(own, reference, strict=True)]
        found[name] = Figures(
            cpu=cpu_microseconds(own),
            ratio=statistics.median(ratios),
            low=_quantile(ratios, 0.25),
            high=_quantile(ratios, 0.75),
            per_second=1 / statistics.median(sample.wall for sample in own),
            busy=statistics.median(sample.busy for sample in own),
        )
    return found


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[round((len(ordered) - 1) * share)]


def machine(root: Root, source: Path) -> dict[str, str]:
    """What the figures depend on."""
    facts = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    processor = next((value.strip() for name, value in facts.items() if name.strip() == "model name"), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    # The one that Kamailio embeds.
    environment = {**os.environ, **kamailio_environment()}
    python = subprocess.run(
        root.command(["python3", "-V"]),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    return {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "kamailio": root.version().split()[2],
        "python": python.stdout.split()[1],
        "commit": commit(source),
        "processor": processor or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
    }


def commit(source: Path) -> str:
    """The version of the routes; "" outside a clone."""
    command = ["git", "-C", str(source), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60).stdout.strip()
