"""`python -m bench`: what a request costs in this library, in Kamailio's own configuration and in its examples."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench import history
from bench.configurations import CONTESTANTS, Setup
from bench.results import REFERENCE, Result, machine
from bench.run import Plan, Run, say
from bench.scale.command import add_scale, add_soak, run_soak, scale
from bench.workload import WrongAnswersError
from bench.workloads import ALL, STORED, WORKLOADS
from kemi.cli.paths import PACKAGE
from kemi.lab.errors import LabError
from kemi.testing.process import ServerError
from tests.parity.root import MACHINE, make
from tests.parity.root import SUITES as SUITES_OF_DEBIAN

DOCS = PACKAGE.parent / "docs"
RUNS = PACKAGE.parent / "runs" / "bench"
_FULL_MINUTES = 14.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(required=True)
    _add_run(commands.add_parser("run", help="some workloads, printed"))
    _add_full(commands.add_parser("full", help="all workloads, both allocators, all figures; kept as JSON"))
    _add_compare(commands.add_parser("compare", help="two results: what has become worse?"))
    _add_report(commands.add_parser("report", help="the pages of docs/ that are made of results"))
    _add_scaled(
        commands.add_parser("scale", help="more workers, contacts, calls; restarts"), add_scale, scale
    )
    _add_scaled(commands.add_parser("soak", help="memory over many messages"), add_soak, run_soak)
    options = parser.parse_args(arguments)
    try:
        return int(options.carry_out(options, parser))
    except (WrongAnswersError, TimeoutError, ServerError, LabError, ValueError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", type=Path, default=PACKAGE.parent, help="clone whose routes are measured (%(default)s)"
    )
    parser.add_argument(
        "--debian", choices=SUITES_OF_DEBIAN, help="this suite's Kamailio, not the machine's own (root)"
    )


def _add_rounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=31, help="rounds of each contestant (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.06, help="length of a round (%(default)s)")
    _add_common(parser)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("workload", nargs="*", help=f"of {', '.join(ALL)} (all that need no location table)")
    parser.add_argument(
        "--contestants", default="stock,kemi", help=f"of {', '.join(CONTESTANTS)} (%(default)s)"
    )
    parser.add_argument("--allocators", default="qm", help="qm, tlsf or qm,tlsf (%(default)s)")
    parser.add_argument("--latency", action="store_true", help="also how long answers take")
    parser.add_argument("--memory", action="store_true", help="also the memory of 8 workers")
    parser.add_argument(
        "--instructions", action="store_true", help="also count instructions (valgrind, slow)"
    )
    _add_rounds(parser)
    parser.set_defaults(carry_out=_run)


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    contestants = _chosen(options.contestants.split(","), CONTESTANTS, "contestant", parser)
    plan = Plan(
        workloads=_chosen(options.workload or list(WORKLOADS), ALL, "workload", parser),
        contestants=[REFERENCE, *(name for name in contestants if name != REFERENCE)],
        allocators=_chosen(options.allocators.split(","), ("qm", "tlsf"), "allocator", parser),
        rounds=options.rounds,
        seconds=options.seconds,
        with_latency=options.latency,
        with_memory=options.memory,
        with_instructions=options.instructions,
    )
    setup = _setup(options)
    result = Result(machine(setup.root, setup.source), plan.rounds)
    Run(plan, setup, result, keep=lambda _: None).play()
    return 0


def _chosen(names: list[str], known: Iterable[str], what: str, parser: argparse.ArgumentParser) -> list[str]:
    for name in names:
        if name not in known:
            parser.error(f"{what} {name!r}: expected one of {', '.join(known)}")
    return names


def _setup(options: argparse.Namespace) -> Setup:
    return Setup(root=make(options.debian) if options.debian else MACHINE, source=options.source.resolve())


def _add_full(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--minutes", type=float, default=_FULL_MINUTES, help="begin nothing after (%(default)s)"
    )
    parser.add_argument("--fresh", action="store_true", help="do not go on with an unfinished run")
    parser.add_argument(
        "--keep", action="store_true", help="put the result into bench/history and the pages of docs/"
    )
    _add_rounds(parser)
    parser.set_defaults(carry_out=_full)


def _full(options: argparse.Namespace, _parser: argparse.ArgumentParser) -> int:
    setup = _setup(options)
    on_machine = setup.root == MACHINE
    here = machine(setup.root, setup.source)
    file = RUNS / f"kamailio{here['kamailio']}.json"
    result = Result(here, options.rounds)
    if file.exists() and not options.fresh:
        result = Result.read(file)
        say(f"going on with the run of {result.machine['date']} ({file}); --fresh begins anew")
    # Another suite's root has neither MySQL's module nor valgrind.
    workloads = [name for name, entry in {**WORKLOADS, **STORED}.items() if on_machine or "mysql" not in name]
    plan = Plan(
        workloads=workloads,
        storing=(REFERENCE, "kemi"),
        rounds=options.rounds,
        seconds=options.seconds,
        with_latency=True,
        with_memory=True,
        with_instructions=on_machine,
        limit=options.minutes * 60,
    )
    run = Run(plan, setup, result, keep=lambda new: new.write(file))
    run.play()
    say(f"{file}{'' if run.complete else ' is not complete'}")
    if options.keep and run.complete:
        target = history.file_for(result)
        result.write(target)
        file.unlink()
        say(f"kept as {target}")
        _write_pages(DOCS)
    return 0 if run.complete else 2


def _add_scaled(
    parser: argparse.ArgumentParser,
    add: Callable[[argparse.ArgumentParser], None],
    carry_out: Callable[[argparse.Namespace, argparse.ArgumentParser, Setup], int],
) -> None:
    add(parser)
    _add_common(parser)
    parser.set_defaults(carry_out=lambda options, parser: carry_out(options, parser, _setup(options)))


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", type=Path, nargs="?", help="a result (the last but one of the history)")
    parser.add_argument("after", type=Path, nargs="?", help="another one (the last of the same Kamailio)")
    parser.set_defaults(carry_out=_compare)


def _compare(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    before, after = options.before, options.after
    if not before:
        versions = [files for version in _versions() if len(files := history.kept(version)) > 1]
        if not versions:
            parser.error(f"{history.HISTORY} has no two results of the same Kamailio; name two files")
        before, after = max(versions, key=lambda files: files[-1])[-2:]
    elif not after:
        after = history.kept(Result.read(before).kamailio)[-1]
    say(f"ratio to {REFERENCE}, {before.name} -> {after.name}")
    found = history.changes(Result.read(before), Result.read(after))
    for change in found:
        say(str(change))
    worse = sum(change.is_worse for change in found)
    say(f"{len(found)} compared, {worse} worse")
    return 1 if worse else 0


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--docs", type=Path, default=DOCS, help="(%(default)s)")
    parser.set_defaults(carry_out=_report)


def _report(options: argparse.Namespace, _parser: argparse.ArgumentParser) -> int:
    _write_pages(options.docs)
    return 0


def _write_pages(docs: Path) -> None:
    # Only here: what draws is not needed to measure.
    from bench.report import scaled, speed

    page = docs / "speed-results.md"
    page.write_text(speed.page(docs))
    scaled.fill(docs / "scale.md")
    say(f"written: {page}, {docs / 'scale.md'}")


def _versions() -> set[str]:
    return {file.stem.rpartition("-kamailio")[2] for file in history.kept()}


if __name__ == "__main__":
    sys.exit(main())
