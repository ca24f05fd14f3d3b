"""The grid of NATs, on the page and in the README."""

import pytest

from kemi.lab.report.grid import Grid, markdown, replace_block
from tests.unit.report_samples import result


def test_the_table_has_a_row_for_each_callers_nat() -> None:
    results = [
        result(caller, callee)
        for caller in ("full cone", "symmetric")
        for callee in ("full cone", "symmetric")
    ]
    results[2] = result("symmetric", "full cone", problem="bob heard nothing | at all")
    assert markdown(Grid.of(results)).splitlines() == [
        "| caller behind ↓ / callee behind → | full cone | symmetric |",
        "| --- | :---: | :---: |",
        "| full cone | ✓ 4.0 s | ✓ 4.0 s |",
        "| symmetric | ✗ bob heard nothing / at all | ✓ 4.0 s |",
    ]


def test_the_seconds_are_those_of_the_party_that_heard_less() -> None:
    assert Grid.of([result()]).cell("symmetric", "symmetric").seconds == 3.98


def test_a_pair_without_a_call_is_no_success() -> None:
    cell = Grid.of([result()], nats=["full cone"]).cell("full cone", "symmetric")
    assert not cell.ok
    assert cell.problem == "no call"


def test_only_what_is_between_the_marks_is_replaced() -> None:
    text = "# kemi\n<!-- grid:begin -->\nold\n<!-- grid:end -->\nrest\n"
    once = replace_block(text, "| new |")
    assert once == "# kemi\n<!-- grid:begin -->\n| new |\n<!-- grid:end -->\nrest\n"
    assert replace_block(once, "| new |") == once


@pytest.mark.parametrize(
    "text",
    [
        "no marks",
        "<!-- grid:begin --> only one",
        "<!-- grid:end --> wrong order <!-- grid:begin -->",
        "<!-- grid:begin --><!-- grid:end --> twice <!-- grid:begin --><!-- grid:end -->",
    ],
)
def test_missing_marks_are_named(text: str) -> None:
    with pytest.raises(
        ValueError, match="expected <!-- grid:begin --> and then <!-- grid:end -->, once each"
    ):
        replace_block(text, "")
