"""Plots as SVG, the same bytes for the same figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

from bench.report.tables import MANAGERS, NAMES
from bench.results import REFERENCE, Result
from bench.workloads import WORKLOADS

_COLOURS = {"kemi": "#2b6cb0", "kemi-stock": "#90b4d8", "python": "#d69e2e", "lua": "#9f7aea"}
_WIDTH = 0.8


def ratios(result: Result, file: Path) -> None:
    """CPU time by that of the stock file, of the workloads without a location table in a database."""
    allocators = [allocator for allocator in MANAGERS if result.figures.get(allocator)]
    with plt.rc_context({"svg.hashsalt": "kemi", "svg.fonttype": "none", "font.size": 9}):
        figure, axes = plt.subplots(len(allocators), 1, figsize=(9, 3.2 * len(allocators)), squeeze=False)
        for (axis,), allocator in zip(axes, allocators, strict=True):
            _draw(axis, result, allocator)
        axes[0][0].legend(loc="upper right", ncols=4, frameon=False)
        figure.suptitle(
            f"CPU time per request, stock configuration = 1 (Kamailio {result.kamailio}, lower is better)"
        )
        figure.tight_layout()
        figure.savefig(file, metadata={"Date": None})
        plt.close(figure)


def _draw(axis: Any, result: Result, allocator: str) -> None:
    workloads = [name for name in WORKLOADS if name in result.figures[allocator]]
    found = [result.figures[allocator][name] for name in workloads]
    width = _WIDTH / len(_COLOURS)
    for number, (who, colour) in enumerate(_COLOURS.items()):
        places = [place + number * width for place, own in enumerate(found) if who in own]
        own = [contestants[who] for contestants in found if who in contestants]
        spread = [[one.ratio - one.low for one in own], [one.high - one.ratio for one in own]]
        heights = [one.ratio for one in own]
        axis.bar(
            places,
            heights,
            width,
            color=colour,
            label=NAMES[who].replace("`", ""),
            yerr=spread,
            ecolor="#666",
        )
    axis.axhline(1, color="black", linewidth=0.8)
    axis.set_xticks([place + _WIDTH / 2 - width / 2 for place in range(len(workloads))], workloads)
    axis.set_ylabel(f"ratio to {REFERENCE}, {allocator}")
    # One disturbed round must not press all bars together.
    axis.set_ylim(0, max((one.ratio for own in found for one in own.values()), default=1) * 1.35)
    axis.spines[["top", "right"]].set_visible(False)


def growth(title: str, unit: str, lines: dict[str, list[tuple[float, float]]], file: Path) -> None:
    """Lines over a logarithmic axis of numbers of contacts."""
    with plt.rc_context({"svg.hashsalt": "kemi", "svg.fonttype": "none", "font.size": 9}):
        figure, axis = plt.subplots(figsize=(7, 3.2))
        for name, points in lines.items():
            axis.plot(*zip(*points, strict=True), marker="o", label=name)
        axis.set_xscale("log")
        axis.set_ylim(bottom=0)
        axis.set_title(title)
        axis.set_xlabel("contacts")
        axis.set_ylabel(unit)
        axis.legend(frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
        figure.tight_layout()
        figure.savefig(file, metadata={"Date": None})
        plt.close(figure)
