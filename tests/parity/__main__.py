"""Compare our server with Kamailio's own configuration: `python -m tests.parity`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from kemi.lab import reaper
from kemi.lab.errors import LabError
from tests.parity.configuration import other, ours, stock
from tests.parity.root import MACHINE, ROOTS, Root, make
from tests.parity.root import SUITES as SUITES_OF_DEBIAN
from tests.parity.run import run
from tests.parity.suites import SUITES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument(
        "--debian", choices=SUITES_OF_DEBIAN, help="compare on this suite's Kamailio, not the machine's own"
    )
    parser.add_argument("--suite", default="", help="only suites whose names contain this")
    parser.add_argument("--case", default="", help="only cases whose names contain this")
    parser.add_argument("--cfg", type=Path, help="compare this file with the stock file, instead of ours")
    parser.add_argument("--stock", type=Path, help="the stock file (as its package installs it)")
    parser.add_argument("--diffs", type=int, default=5, help="differences to show per suite (%(default)s)")
    parser.add_argument("--keep", type=Path, help="keep logs and databases in this folder")
    parser.add_argument(
        "--sample", type=int, default=1, metavar="N", help="of many cases play only one in N, always the same"
    )
    parser.add_argument(
        "--all", action="store_true", help="all cases with all defines, not only what they touch"
    )
    arguments = parser.parse_args()
    subject = partial(other, file=arguments.cfg) if arguments.cfg else ours
    try:
        root = _root(arguments.debian)
        say(root.version())
    except LabError as error:
        parser.exit(1, f"{error}\n")
    stock_file = arguments.stock or root.stock
    reference = partial(stock, file=stock_file)
    passed = failed = known = 0
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="parity-") as temporary, reaper.running():
        folder = arguments.keep or Path(temporary)
        for number, suite in enumerate((suite.complete() if arguments.all else suite for suite in SUITES), 1):
            if arguments.suite not in suite.name:
                continue
            if not suite.fits(stock_file):
                say(f"{suite}: not compared, as {stock_file} does not have all its defines")
                continue
            start = time.monotonic()
            outcome = run(
                suite,
                folder / str(number),
                only=arguments.case,
                reference=reference,
                subject=subject,
                root=root,
                one_in=arguments.sample,
            )
            say(f"{outcome} ({time.monotonic() - start:.1f} s)")
            for difference in list(outcome.differences.values())[: arguments.diffs]:
                say(f"\n{difference}\n")
            passed += len(outcome.equal)
            failed += len(outcome.differences)
            known += len(outcome.known)
    differences = f", {known} known differences" if known else ""
    say(f"{passed} passed, {failed} failed{differences} in {time.monotonic() - begin:.1f} s")
    return 1 if failed or not passed else 0


def _root(suite: str | None) -> Root:
    if suite is None:
        return MACHINE
    say(f"Kamailio of Debian {suite}, in {ROOTS / suite} (made now if it is not there: some minutes)")
    return make(suite)


def say(text: str) -> None:
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
