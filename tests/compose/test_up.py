"""From nothing to a stack that serves."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.compose.stack import Stack

Report = Callable[[str], None]
SERVICES = ("kamailio", "rtpproxy", "database")


def test_make_up_leads_from_nothing_to_healthy(cold: tuple[Stack, float], report: Report) -> None:
    stack, seconds = cold
    report(f"cold `make up`: {seconds:.1f} s")
    assert seconds < 600  # 180 on two cores that have nothing else to do
    for service in SERVICES:
        assert stack.inspect(service)["State"]["Health"]["Status"] == "healthy"


def test_make_up_again_is_quick_and_changes_nothing(stack: Stack, report: Report) -> None:
    before = stack.env_file.read_text(), [stack.container(service) for service in SERVICES]
    began = time.monotonic()
    stack.make("up")
    seconds = time.monotonic() - began
    report(f"warm `make up`, nothing changed: {seconds:.1f} s")
    assert seconds < 60  # 15 on two cores that have nothing else to do
    assert before == (stack.env_file.read_text(), [stack.container(service) for service in SERVICES])


def test_three_services_fit_into_400_mib(stack: Stack, report: Report) -> None:
    used = stack.memory_mib(SERVICES)
    report("memory: " + ", ".join(f"{name} {mib:.0f} MiB" for name, mib in used.items()))
    assert sum(used.values()) < 400
