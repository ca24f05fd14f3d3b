"""Prometheus asks the stack, and every question of the dashboard has an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kemi.deadline import wait_until
from tests.compose import load
from tests.compose.conftest import build_image
from tests.compose.load import Load
from tests.compose.phone import PASSWORD
from tests.compose.prometheus_api import query
from tests.compose.stack import Stack

_USERS = ("seen1", "seen2", "seen3")


@pytest.fixture(scope="module")
def monitored(stack: Stack) -> Iterator[Stack]:
    """The stack with Prometheus; Grafana's image is nowhere without a registry."""
    stack.engine.environment["PROMETHEUS_IMAGE"] = build_image(stack.engine, "prometheus")
    stack.compose("--profile", "monitor", "up", "--detach", "--wait", "prometheus")
    stack.add_users(*_USERS, password=PASSWORD)
    yield stack
    stack.compose("--profile", "monitor", "rm", "--stop", "--force", "prometheus")


@pytest.fixture
def busy(monitored: Stack) -> Iterator[Load]:
    with load.running(monitored, _USERS[:1], [(_USERS[1], _USERS[2])]) as running:
        yield running


def expressions(stack: Stack) -> dict[str, str]:
    """The questions of the dashboard, by panel and legend."""
    dashboard = json.loads((stack.folder / "docker/monitor/dashboards/kemi.json").read_text())
    return {
        f"{panel['title']}: {target['legendFormat']}": target["expr"]
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }


def test_kamailio_is_scraped(monitored: Stack) -> None:
    wait_until("a scrape that succeeded", lambda: query(monitored, 'up{job="kemi"} == 1'), seconds=120)


def test_every_question_of_the_dashboard_has_an_answer(monitored: Stack, busy: Load) -> None:
    asked = expressions(monitored)
    missing = set(asked)

    def all_answered() -> bool:
        for name in sorted(missing):
            if query(monitored, asked[name]):
                missing.discard(name)
        return not missing

    # A rate needs two scrapes, ten seconds apart.
    wait_until("answers to all questions of the dashboard", all_answered, seconds=120, every=2)


def test_the_numbers_are_those_of_the_load(monitored: Stack, busy: Load) -> None:
    registered = "sum(kamailio_kemi_registrations_total{behind='nat'})"
    wait_until(
        "registrations behind a NAT to be counted", lambda: _above(monitored, registered, 3), seconds=120
    )
    calls = "sum(kamailio_kemi_relay_requests_total{outcome='answered'})"
    wait_until("calls through the relay to be counted", lambda: _above(monitored, calls, 3), seconds=120)


def test_only_prometheus_may_ask(monitored: Stack) -> None:
    program = "import urllib.request; urllib.request.urlopen('http://198.51.100.10:5060/metrics', timeout=3)"
    done = monitored.engine.run(["python3", "-c", program])
    assert done.returncode != 0
    assert "kamailio_" not in done.stdout


def _above(stack: Stack, expression: str, least: float) -> bool:
    found = query(stack, expression)
    return bool(found) and float(found[0]["value"][1]) > least
