"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bench.configurations import CONTESTANTS
from bench.latency import PERCENTILES
from bench.results import REFERENCE, Figures, Result
from bench.workloads import ALL

NAMES = {
    "stock": "stock",
    "kemi": "kemi",
    "kemi-stock": "kemi, `profile: stock`",
    "python": "Python example",
    "lua": "Lua example",
}
MANAGERS = {"qm": "qm, Kamailio's default memory manager", "tlsf": "tlsf (`-x tlsf -X tlsf`)"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    lines = [head, ["---", *(["---:"] * (len(head) - 1))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def times(result: Result, allocator: str) -> str:
    """CPU time of the reference, and everyone's ratio to it with its spread."""
    return _by_workload(
        result,
        allocator,
        lambda found: (
            f"{found.cpu:.1f} µs" if found.ratio == found.low == found.high == 1 else _spread(found)
        ),
    )


def instructions(result: Result, allocator: str) -> str:
    """Instructions of the reference, and everyone's ratio to it; "" where none were counted."""
    return _counted(result, allocator, lambda found: found.instructions)


def code_misses(result: Result, allocator: str) -> str:
    """Misses of the first-level cache for code, likewise."""
    return _counted(result, allocator, lambda found: found.code_misses)


def _counted(result: Result, allocator: str, count: Callable[[Figures], float | None]) -> str:
    workloads = result.figures.get(allocator, {})
    rows = []
    for name, contestants in workloads.items():
        reference = count(contestants[REFERENCE])
        if reference is None:
            continue
        cells = [
            _ratio(count(contestants[who]), reference) if who in contestants else ""
            for who in _present(result, allocator)
            if who != REFERENCE
        ]
        rows.append([_title(name), f"{reference / 1000:.1f} k", *cells])
    return table(_head(result, allocator), rows) if rows else ""


def rates(result: Result, allocator: str) -> str:
    """Units per second of one worker."""
    return _by_workload(
        result, allocator, lambda found: f"{found.per_second:,.0f}{'' if found.busy > _SATURATED else ' *'}"
    )


def latencies(result: Result, allocator: str) -> str:
    """Of those workloads where it was measured."""
    rows = [
        [_title(name), NAMES[who], *(f"{value:,.0f}" for value in found.latency)]
        for name, contestants in result.figures.get(allocator, {}).items()
        for who, found in contestants.items()
        if found.latency
    ]
    return table(["µs", "", *(f"{percent:g} %" for percent in PERCENTILES)], rows)


def memory(result: Result) -> str:
    """Of one worker and of all processes, and how much more than the reference."""
    rows = []
    for allocator, contestants in result.memory.items():
        reference = contestants[REFERENCE]
        for who, own in contestants.items():
            more = f"{(own.all - reference.all) / 1e6:+.1f} MB" if who != REFERENCE else ""
            rows.append(
                [f"{NAMES[who]}, {allocator}", f"{own.worker / 1e6:.2f} MB", f"{own.all / 1e6:.1f} MB", more]
            )
    return table(["", "one worker (unique)", "all processes (proportional)", "to stock"], rows)


# A server that is busy for less of the time was not what limited the rate.
_SATURATED = 0.9


def _by_workload(result: Result, allocator: str, cell: Callable[[Figures], str]) -> str:
    rows = []
    for name, contestants in result.figures.get(allocator, {}).items():
        cells = [cell(contestants[who]) if who in contestants else "" for who in _present(result, allocator)]
        rows.append([_title(name), *cells])
    return table(_head(result, allocator), rows)


def _present(result: Result, allocator: str) -> list[str]:
    found = {who for contestants in result.figures.get(allocator, {}).values() for who in contestants}
    return [who for who in CONTESTANTS if who in found]


def _head(result: Result, allocator: str) -> list[str]:
    return ["", *(NAMES[who] for who in _present(result, allocator))]


def _title(name: str) -> str:
    entry = ALL[name]
    return f"{entry.title}{'' if entry.kind.unit == 'request' else f' (per {entry.kind.unit})'}"


def _spread(found: Figures) -> str:
    return f"**{found.ratio:.2f}** ({found.low:.2f}–{found.high:.2f})"


def _ratio(own: float | None, reference: float) -> str:
    return f"{own / reference:.2f}" if own is not None else ""
