"""The dashboard for Grafana is one that Grafana knows, and asks for numbers that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog import encoder, plugins
from grafana_foundation_sdk.models import dashboard

from kemi import metrics
from kemi.cli.paths import PACKAGE

FILE = PACKAGE.parent / "docker" / "monitor" / "dashboards" / "kemi.json"
OURS = {value for name, value in vars(metrics).items() if name.isupper() and str(value).startswith("kemi_")}


@pytest.fixture
def written() -> Any:
    return json.loads(FILE.read_text(encoding="utf-8"))


def understood(written: Any) -> Any:
    """The dashboard as Grafana's own library of its schema reads it; what that does not know is gone."""
    plugins.register_default_plugins()
    read = dashboard.Dashboard.from_json(written)
    return json.loads(encoder.JSONEncoder(sort_keys=True).encode(read))


def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Where there is something in the one that is not in the other."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from lost(value, after.get(key), f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif before != after:
        yield path


def test_grafana_knows_all_that_is_in_it(written: Any) -> None:
    assert list(lost(written, understood(written))) == []


def test_a_misspelt_key_would_be_found(written: Any) -> None:
    written["panels"][0]["titel"] = "Registrations"
    written["panels"][1]["targets"][0]["exprs"] = "up"
    assert list(lost(written, understood(written))) == [".panels[0].titel", ".panels[1].targets[0].exprs"]


def test_it_asks_for_all_of_our_numbers_and_for_no_others(written: Any) -> None:
    questions = " ".join(target["expr"] for panel in written["panels"] for target in panel["targets"])
    asked = set(re.findall(r"kamailio_(kemi_\w+)", questions))
    assert asked <= OURS
    # Sessions are shown as they are now.
    assert OURS - asked == {metrics.RELAY_CREATED, metrics.RELAY_TIMED_OUT}
