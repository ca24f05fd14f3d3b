"""The commands `python -m bench scale` and `python -m bench soak`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from bench.arena import Arena
from bench.configurations import Setup
from bench.history import HISTORY
from bench.results import machine
from bench.run import say
from bench.scale import contacts, media, restart, soak, workers

PARTS: dict[str, Callable[[Arena, Setup], Sequence[Any]]] = {
    "workers": workers.measure,
    "contacts": contacts.measure,
    "restart": restart.measure,
    "media": media.measure,
}
# A worker's memory is counted in pages; this is one page in some ten thousand messages.
_FLAT_BYTES = 0.5


def add_scale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--keep", action="store_true", help=f"write the figures into {HISTORY}")


def scale(options: argparse.Namespace, parser: argparse.ArgumentParser, setup: Setup) -> int:
    chosen = options.part or list(PARTS)
    for name in chosen:
        if name not in PARTS:
            parser.error(f"part {name!r}: expected one of {', '.join(PARTS)}")
    for name in chosen:
        with Arena() as arena:
            found = [asdict(one) for one in PARTS[name](arena, setup)]
        for one in found:
            say(f"{name}: " + ", ".join(f"{key} {_short(value)}" for key, value in one.items()))
        if options.keep:
            _keep(setup, name, found)
    return 0


def add_soak(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=1_000_000, help="(%(default)s)")
    parser.add_argument("--contestant", default="kemi", help="who is measured (%(default)s)")
    parser.add_argument("--keep", action="store_true", help=f"write the figures into {HISTORY}")


def run_soak(options: argparse.Namespace, _parser: argparse.ArgumentParser, setup: Setup) -> int:
    def tell(step: soak.Step) -> None:
        say(
            f"{step.messages:>9} messages {step.seconds:>6.0f} s: worker {step.worker / 1e6:.2f} MB, "
            f"shared memory in use {step.shared / 1e6:.1f} MB"
        )

    with Arena() as arena:
        steps = soak.play(arena, setup, options.messages, tell, options.contestant)
    grown = soak.growth(steps)
    flat = grown < _FLAT_BYTES
    say(
        f"over the last half a worker has gained {grown:.3f} bytes per message: {'flat' if flat else 'NOT FLAT'}"
    )
    if options.keep:
        _keep(setup, "soak", [asdict(step) for step in steps])
    return 0 if flat else 1


def _keep(setup: Setup, part: str, found: list[dict[str, Any]]) -> None:
    """One file per Kamailio version, in which each part is that of its last run."""
    here = machine(setup.root, setup.source)
    file = HISTORY / f"scale-kamailio{here['kamailio']}.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    kept[part] = {"machine": here, "figures": found}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(kept, indent=1) + "\n")
    say(f"kept in {file}")


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
