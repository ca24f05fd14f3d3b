"""Plays a suite on two servers and compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from zlib import crc32

from tests.parity.configuration import ours, stock
from tests.parity.known import Known, explanation
from tests.parity.record import Difference, Record, compare
from tests.parity.root import MACHINE, Root
from tests.parity.scene import Case, Scene
from tests.parity.suites import Suite
from tests.parity.world import Configure, World

#: A suite with more cases is big enough for a sample of it.
MANY = 100


@dataclass
class Outcome:
    """What came of one suite."""

    suite: str
    equal: list[str] = field(default_factory=list)
    differences: dict[str, Difference] = field(default_factory=dict)
    #: Cases that differ in nothing but what cannot be helped.
    known: dict[str, Known] = field(default_factory=dict)

    def __str__(self) -> str:
        equal, different = (Counter(map(_group, names)) for names in (self.equal, self.differences))
        lines = [f"{self.suite}: {len(self.equal)} equal, {len(self.differences)} different"]
        lines += [
            f"  {group:16} {equal[group]:4} equal"
            + (f", {different[group]} different" if different[group] else "")
            for group in dict.fromkeys(map(_group, [*self.equal, *self.differences]))
        ]
        reasons = Counter(known.name for known in self.known.values())
        lines += [f"  known difference: {count} by {name}" for name, count in reasons.items()]
        return "\n".join(lines)


def _group(name: str) -> str:
    return name.partition(":")[0]


def table_name(table: str) -> str:
    """The name under which the rows of a table are compared, as if it were a case."""
    return f"tables: {table}"


def play(
    world: World, cases: Sequence[Case], tables: Sequence[str] = (), stop: Event | None = None
) -> dict[str, Record]:
    """The record of every case on one server; ends early once `stop` is set, and sets it when it fails."""
    records: dict[str, Record] = {}
    stop = stop or Event()
    with world:
        for number, case in enumerate(cases, 1):
            if stop.is_set():
                break
            scene = Scene(world, number)
            try:
                case.play(scene)
                records[str(case)] = scene.finish()
            except Exception as error:
                stop.set()
                error.add_note(f"in case {str(case)!r} on {world.name}; see {world.log}")
                raise
        for table in tables:
            records[table_name(table)] = Record({"rows": world.rows_after_stop(table)})
    return records


def run(
    suite: Suite,
    folder: Path,
    *,
    only: str = "",
    reference: Configure = stock,
    subject: Configure = ours,
    root: Root = MACHINE,
    one_in: int = 1,
) -> Outcome:
    """Play the cases of a suite (those whose names contain `only`) on both servers at the same time, and compare.

    Both are the Kamailio of `root`. Of many cases only one in `one_in` is played, always the same ones.
    """
    cases = [case for case in suite.cases if only in str(case)]
    if len(cases) > MANY:
        # Not every n-th: cases are combinations, and would always lack the same values.
        cases = [case for case in cases if crc32(str(case).encode(errors="replace")) % one_in == 0]
    if not cases:
        return Outcome(suite.name)
    worlds = [
        World(folder / name, suite.options, configure, suite.rows(len(cases)), suite.domains, root)
        for name, configure in (("reference", reference), ("subject", subject))
    ]
    stop = Event()
    with ThreadPoolExecutor(len(worlds)) as pool:
        try:
            expected, found = pool.map(partial(play, cases=cases, tables=suite.tables, stop=stop), worlds)
        except BaseException:
            stop.set()
            raise
    outcome = Outcome(suite.name)
    for name in expected:
        difference = compare(name, expected[name], found[name])
        if not difference:
            outcome.equal.append(name)
        elif known := explanation(name, expected[name], found[name]):
            outcome.known[name] = known
        else:
            outcome.differences[name] = difference
    return outcome
