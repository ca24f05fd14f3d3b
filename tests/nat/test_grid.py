"""Every classic NAT against every other: register, call, hear each other, hang up from either side, leave nothing."""

import itertools
import time
from pathlib import Path

import pytest

from kemi.lab import PRESETS
from kemi.lab.scenario import Side, grid

SECONDS = 5
PAIRS = {(caller.name, callee.name) for caller, callee in itertools.product(PRESETS, PRESETS)}


@pytest.mark.parametrize("ended_by", ["caller", "callee"])
def test_each_of_sixteen_calls_is_heard_both_ways(
    run_dir: Path, subtests: pytest.Subtests, ended_by: Side
) -> None:
    began = time.monotonic()
    results = list(grid(run_dir, seconds=SECONDS, ended_by=ended_by))
    assert time.monotonic() - began < 180, "the calls are to be made side by side"
    assert {(one.caller_nat, one.callee_nat) for one in results} == PAIRS
    for one in results:
        with subtests.test(f"{one.caller_nat} calls {one.callee_nat}"):
            assert one.problem == "", f"captures and logs: {one.captures['server'].parent}"
            assert [(heard.listener, heard.speaker) for heard in one.heard] == [
                (one.caller, one.callee),
                (one.callee, one.caller),
            ]
            assert min(heard.seconds for heard in one.heard) >= SECONDS
            assert one.seconds >= SECONDS
            assert one.ended_by == ended_by
            assert one.relay_sessions_left == 0
