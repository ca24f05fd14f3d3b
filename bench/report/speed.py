"""docs/speed-results.md, from the newest result of each Kamailio in the history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench import history
from bench.latency import LOAD
from bench.report import plots, tables
from bench.results import Result

_HEAD = """# Speed: the figures

Made by `make bench-full`, then `python -m bench report`; not edited by hand. How it is measured and why it is fair:
[`bench/README.md`](../bench/README.md).
"""


def page(docs: Path) -> str:
    """The text, with its plots written beside it. Raises ValueError when the history is empty."""
    results = history.latest()
    if not results:
        raise ValueError(f"{history.HISTORY}: expected the result of a full run, found none; make bench-full")
    parts = [_HEAD]
    for result in results:
        file = docs / f"speed-kamailio{result.kamailio}.svg"
        plots.ratios(result, file)
        parts.append(_version(result, file.name))
    for micro in sorted(history.HISTORY.glob("micro-kamailio*.json")):
        parts.append(_micro(json.loads(micro.read_text())))
    return "\n".join(parts)


def _version(result: Result, plot: str) -> str:
    machine = result.machine
    parts = [
        f"## Kamailio {result.kamailio}\n",
        f"{machine['date']} UTC, {machine['processor']}, {machine['cores']} cores, {machine['memory']}, Linux "
        f"{machine['kernel']}, Python {machine['python']}{_commit(machine)}; {result.rounds} interleaved rounds.\n",
        f"![Ratios of CPU time]({plot})\n",
    ]
    for allocator, words in tables.MANAGERS.items():
        if not result.figures.get(allocator):
            continue
        parts += [
            f"### {words}\n",
            "CPU time of all processes, user and system: the stock file's in µs, then the ratio to it in the same "
            "round (median, and between what the middle half of the rounds lies).\n",
            tables.times(result, allocator) + "\n",
        ]
        if counted := tables.instructions(result, allocator):
            parts += [
                "Instructions of the worker in user mode (callgrind): the stock file's, then the ratio.\n",
                counted + "\n",
            ]
        if missed := tables.code_misses(result, allocator):
            parts += [
                "Fetches of code that a first-level cache of 32 kB did not have (simulated): the stock file's, then "
                "the ratio.\n",
                missed + "\n",
            ]
        parts += [
            "Per second, one worker. * its processes had to wait, for the relay, the database or the core.\n",
            tables.rates(result, allocator) + "\n",
            f"Time to the answer at {LOAD:.0%} of that rate.\n",
            tables.latencies(result, allocator) + "\n",
        ]
    if result.memory:
        parts += ["### Memory, 8 workers\n", tables.memory(result) + "\n"]
    parts += [f"Not measured: {name} ({why}).\n" for name, why in result.absent.items()]
    return "\n".join(parts)


def _commit(machine: dict[str, str]) -> str:
    return f", routes of {machine['commit']}" if machine.get("commit") else ""


def _micro(kept: dict[str, Any]) -> str:
    costs = [(name, cost, "loop") for name, cost in kept["looped"].items()]
    costs += [(name, cost, "in passing") for name, cost in kept["passing"].items()]
    costs.sort(key=lambda one: float(one[1]))
    calls = kept["calls"]
    by_rule = []
    for rule in dict.fromkeys(rule for found in calls.values() for rule in found["rules"]):
        cells = (sum(found["rules"].get(rule, {}).values()) for found in calls.values())
        by_rule.append([f"`{rule}`", *(f"{cell:.3g}" if cell else "" for cell in cells)])
    total = ["**all**", *(f"**{found['total']:.3g}**" for found in calls.values())]
    return "\n".join(
        [
            f"## The single steps, Kamailio {kept['machine']['kamailio']}\n",
            "Made by `make bench-micro`. KSR calls per request (per call of a phone in the column `call`), by rule of "
            "`kemi/router.py` or step of `kemi/handler.py`:\n",
            tables.table(["", *calls], [*by_rule, total]) + "\n",
            "What a call costs. `loop`: called again and again on an INVITE with SDP, the fastest of several loops. "
            "`in passing`: what changes something, timed where it happened; what it calls back is within.\n",
            tables.table(
                ["", "ns", "how"], [[_function(name), f"{cost:,.0f}", how] for name, cost, how in costs]
            )
            + "\n",
        ]
    )


def _function(name: str) -> str:
    return name.strip("()") if name.startswith("(") else f"`{name}`"
