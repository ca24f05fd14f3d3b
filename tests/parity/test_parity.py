"""Every case gets from our server what it gets from Kamailio's own configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.parity.configuration import STOCK
from tests.parity.run import Outcome, run, table_name
from tests.parity.suites import SUITES, Suite

Outcomes = Callable[[Suite], Outcome]


@pytest.fixture(scope="module")
def outcome_of(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Plays a suite when its first case is asked for."""
    outcomes: dict[str, Outcome] = {}

    def outcome(suite: Suite) -> Outcome:
        if suite.name not in outcomes:
            outcomes[suite.name] = run(suite, tmp_path_factory.mktemp("parity"))
        return outcomes[suite.name]

    return outcome


def cases() -> Iterator[object]:
    for suite in (suite for suite in SUITES if suite.fits(STOCK)):
        for name in [*map(str, suite.cases), *map(table_name, suite.tables)]:
            yield pytest.param(suite, name, id=f"{suite}: {name}")


@pytest.mark.parametrize(("suite", "case"), list(cases()))
def test_equal(suite: Suite, case: str, outcome_of: Outcomes) -> None:
    difference = outcome_of(suite).differences.get(case)
    if difference:
        pytest.fail(str(difference), pytrace=False)
