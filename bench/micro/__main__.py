"""`python -m bench.micro`: calls of the KSR object per request and rule, and what each step costs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.arena import Arena
from bench.configurations import CONTESTANTS, Setup
from bench.micro import calls, entry
from bench.results import machine
from bench.run import say
from kemi.cli.paths import PACKAGE
from kemi.lab.errors import LabError
from kemi.testing.process import ServerError
from tests.parity.root import MACHINE, SUITES, make

HISTORY = Path(__file__).parents[1] / "history"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.micro", description=__doc__)
    parser.add_argument(
        "--debian", choices=SUITES, help="this suite's Kamailio, not the machine's own (root)"
    )
    parser.add_argument(
        "--source", type=Path, default=PACKAGE.parent, help="clone that is measured (%(default)s)"
    )
    parser.add_argument("--keep", action="store_true", help=f"write the figures into {HISTORY}")
    options = parser.parse_args(arguments)
    try:
        root = make(options.debian) if options.debian else MACHINE
        setup = Setup(root=root, source=options.source.resolve())
        CONTESTANTS["metered"] = calls.metered
        with Arena() as arena:
            counted = calls.count(arena, setup)
            looped = {**entry.nanoseconds(arena, setup), **counted.looped}
    except (LabError, ServerError, TimeoutError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    for name, one in counted.calls.items():
        say(f"{name}: {one.total:.1f} KSR calls per unit")
        for rule, functions in one.rules.items():
            listed = ", ".join(f"{function} {number:.3g}" for function, number in functions.items())
            say(f"  {rule:<26}{sum(functions.values()):>6.2f}  {listed}")
    for title, costs in (("in a loop", looped), ("in passing", counted.passing)):
        for name, cost in sorted(costs.items(), key=lambda pair: pair[1]):
            say(f"{name:<36}{cost:>9.0f} ns {title}")
    unseen = counted.unseen
    say(f"{len(unseen)} functions that the library names and no workload calls: {', '.join(unseen)}")
    if options.keep:
        here = machine(root, setup.source)
        file = HISTORY / f"micro-kamailio{here['kamailio']}.json"
        kept = {
            "machine": here,
            "calls": {name: asdict(one) for name, one in counted.calls.items()},
            "looped": {name: round(cost) for name, cost in looped.items()},
            "passing": {name: round(cost) for name, cost in counted.passing.items()},
        }
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(kept, indent=1) + "\n")
        say(f"kept as {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
