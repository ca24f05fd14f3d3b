"""Every classic NAT against every other: register, call, hear each other, hang up from either side, leave nothing."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kemi.lab import PRESETS
from kemi.lab.result import CallResult
from kemi.lab.scenario import Side, grid

SECONDS = 5
PAIRS = [(caller.name, callee.name) for caller, callee in itertools.product(PRESETS, PRESETS)]


@pytest.fixture(scope="module", params=["caller", "callee"])
def ended_by(request: pytest.FixtureRequest) -> Side:
    """Who hangs up."""
    return "caller" if request.param == "caller" else "callee"


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, runs_dir: Path, ended_by: Side
) -> Iterator[dict[tuple[str, str], CallResult]]:
    """The sixteen calls, by the NATs of caller and callee; their folder is kept when one of them failed."""
    folder = runs_dir / f"grid-{ended_by}"
    calls = grid(folder, seconds=SECONDS, ended_by=ended_by)
    found = {(one.caller_nat, one.callee_nat): one for one in calls}
    yield found
    if all(one.ok for one in found.values()) and not request.config.getoption("--keep-runs"):
        shutil.rmtree(folder)


@pytest.mark.parametrize(("caller_nat", "callee_nat"), PAIRS)
def test_a_call_is_heard_both_ways(
    results: dict[tuple[str, str], CallResult], ended_by: Side, caller_nat: str, callee_nat: str
) -> None:
    result = results[caller_nat, callee_nat]
    assert result.problem == "", f"captures and logs: {result.captures['server'].parent}"
    assert [(one.listener, one.speaker) for one in result.heard] == [
        (result.caller, result.callee),
        (result.callee, result.caller),
    ]
    assert min(one.seconds for one in result.heard) >= SECONDS
    assert result.seconds >= SECONDS
    assert result.ended_by == ended_by
    assert result.relay_sessions_left == 0
