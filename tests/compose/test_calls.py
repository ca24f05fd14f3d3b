"""Two phones behind two NATs, as containers, call each other through the stack."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from kemi.deadline import wait_until
from tests.compose.stack import Stack

_HEARD = re.compile(r"heard \d+ Hz for ([\d.]+) s")
_PUBLIC = {"alice": "198.51.100.51", "bob": "198.51.100.52"}
_HOME = {"alice": "192.168.241.2", "bob": "192.168.242.2"}


@pytest.fixture(scope="module")
def phones(stack: Stack) -> Iterator[Stack]:
    stack.engine.environment["PHONES_CALL_EVERY"] = "12"
    stack.make("up", "PROFILE=phones")
    yield stack
    stack.compose(
        "--profile", "phones", "rm", "--stop", "--force", "alice", "bob", "alice-gateway", "bob-gateway"
    )


def wait_for_call(stack: Stack, after: str = "") -> dict[str, float]:
    """Wait until both phones said what they heard of a call since `after`; the seconds of each."""

    def heard() -> dict[str, float]:
        said = {name: _HEARD.findall(stack.logs(name, after)) for name in _PUBLIC}
        return {name: float(lines[-1]) for name, lines in said.items() if lines} if all(said.values()) else {}

    return wait_until("both phones to hear each other", heard, seconds=120, every=0.5)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def test_both_hear_each_other_through_two_nats(phones: Stack) -> None:
    heard = wait_for_call(phones)
    assert min(heard.values()) > 4, heard


def test_location_rows_hold_where_a_phone_is_and_how_it_is_reached(phones: Stack) -> None:
    rows = phones.sql(
        "SELECT username, contact, received, socket FROM location WHERE username IN ('demo-alice', 'demo-bob')"
    )
    assert len(rows) == 2
    for user, contact, received, socket in rows:
        home = user.removeprefix("demo-")
        assert f"@{_HOME[home]}:" in contact
        assert received.startswith(f"sip:{_PUBLIC[home]}:")
        assert socket == "udp:198.51.100.10:5060"


def test_no_process_of_a_phone_or_gateway_stays_root(phones: Stack) -> None:
    for service in ("alice", "bob", "alice-gateway", "bob-gateway"):
        status = phones.execute(service, "cat", "/proc/1/status")
        assert re.search(r"^Uid:\s65534\s65534\s65534\s65534$", status, re.MULTILINE), service
        assert re.search(r"^CapEff:\s0+$", status, re.MULTILINE), service


def test_a_restart_forgets_no_phone(phones: Stack) -> None:
    query = (
        "SELECT username, ruid, last_modified, received FROM location WHERE username LIKE 'demo-%' ORDER BY 1"
    )
    # Between two calls: one that is being set up would be lost, and baresip may end with it.
    wait_for_call(phones, _now())
    before = phones.sql(query)
    phones.compose("restart", "kamailio")
    phones.wait_healthy("kamailio")
    heard = wait_for_call(phones, _now())
    assert min(heard.values()) > 4, "\n".join(map(phones.logs, _PUBLIC))
    # The phones have not registered anew: their rows are the same.
    assert phones.sql(query) == before, "\n".join(map(phones.logs, _PUBLIC))
