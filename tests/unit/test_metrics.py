"""The names of the metrics, in the three places that have them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = re.findall(r'= "(kemi_\w+)"', (ROOT / "kemi" / "metrics.py").read_text(encoding="utf-8"))


def test_there_are_names() -> None:
    assert len(NAMES) == len(set(NAMES)) > 5


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_is_declared_and_documented(name: str) -> None:
    assert len(re.findall(f'"name={name}[;"]', (ROOT / "kamailio.cfg").read_text(encoding="utf-8"))) == 1
    assert f"`{name}`" in (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_no_metric_is_declared_that_nobody_writes() -> None:
    declared = re.findall(r'"name=(kemi_\w+)', (ROOT / "kamailio.cfg").read_text(encoding="utf-8"))
    assert sorted(declared) == sorted(NAMES)
