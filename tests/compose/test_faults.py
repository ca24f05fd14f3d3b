"""What a fault costs while users register and call: each test counts what was lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from kemi.deadline import wait_until
from kemi.testing.message import Message
from tests.compose import load
from tests.compose.load import Load
from tests.compose.phone import PASSWORD, Call, invitation, phone, register
from tests.compose.stack import PHONES, Stack

Report = Callable[[str], None]

REGISTRANTS = ("reg1", "reg2", "reg3", "reg4")
PAIRS = (("caller1", "callee1"), ("caller2", "callee2"))


@pytest.fixture(scope="module", autouse=True)
def users(stack: Stack) -> None:
    names = [*REGISTRANTS, *(name for pair in PAIRS for name in pair), "talker", "listener"]
    stack.add_users(*names, password=PASSWORD)


@pytest.fixture
def running(stack: Stack) -> Iterator[Load]:
    stack.wait_healthy("kamailio")
    with load.running(stack, REGISTRANTS, PAIRS) as running:
        yield running


def test_kamailio_killed(stack: Stack, running: Load, report: Report) -> None:
    """Phones repeat what had no answer, so all that it costs is time."""
    rows = stack.sql("SELECT COUNT(*) FROM location")
    killed = time.monotonic()
    stack.kill("kamailio")
    running.wait_for_success()
    report(f"Kamailio killed with -9: {running.cost('REGISTER', killed)}; {running.cost('call', killed)}")
    assert set(running.results("REGISTER", killed)) == {"200"}
    # A call that it had acknowledged to the caller and not yet sent to the callee is nobody's to repeat.
    assert running.results("call", killed).total() - running.results("call", killed)["200"] <= len(PAIRS)
    assert stack.sql("SELECT COUNT(*) FROM location") == rows


def test_relay_killed(stack: Stack, running: Load, report: Report) -> None:
    with phone(stack, "talker", PHONES[30]) as talker, phone(stack, "listener", PHONES[31]) as listener:
        assert register(listener).status == 200
        call = Call(talker, listener, invitation(talker, listener.uri))
        killed = time.monotonic()
        stack.kill("rtpproxy")
        # The call in progress keeps its signalling while the relay is away.
        call.hang_up()
        running.wait_for_success()
    report(
        f"relay killed: {running.cost('call', killed)}, the last began "
        f"{max(running.last_failure() - killed, 0):.1f} s afterwards; {running.cost('REGISTER', killed)}"
    )
    assert set(running.results("REGISTER", killed)) == {"200"}
    assert set(running.results("call", killed)) <= {"200", "503"}


def test_relay_in_a_new_container_is_found(stack: Stack, running: Load, report: Report) -> None:
    before = stack.container("rtpproxy")
    began = time.monotonic()
    stack.compose("up", "--detach", "--force-recreate", "--no-deps", "--wait", "rtpproxy")
    assert stack.container("rtpproxy") != before
    running.wait_for_success()
    report(
        f"relay replaced by a new container: {running.cost('call', began)}, "
        f"the last began {max(running.last_failure() - began, 0):.1f} s after the command"
    )
    assert set(running.results("call", began)) <= {"200", "503"}


def test_database_stopped_for_a_minute(stack: Stack, running: Load, report: Report) -> None:
    """Write-through, the default. What could not be written is written afterwards, also if its phone stays silent."""
    with phone(stack, "talker", PHONES[30]) as renewed, phone(stack, "listener", PHONES[31]) as moved:
        for client in (renewed, moved):
            assert register(client).status == 200
        elsewhere = f"<sip:listener@{PHONES[32]}:5060>"

        def register_meanwhile() -> tuple[Message, Message]:
            return register(renewed), register(moved, Contact=elsewhere)

        answers = _stop_database(stack, running, report, 60, register_meanwhile)
        assert [answer.status for answer in answers] == [200, 200]
        expected = {answer.header("Call-ID") for answer in answers}

        def are_written() -> bool:
            return expected <= {row[0] for row in stack.sql("SELECT callid FROM location")}

        wait_until("both registrations in table location", are_written, 30)
    assert set(running.results("REGISTER")) == {"200"}
    assert set(running.results("call")) == {"200"}


@pytest.fixture
def write_back(stack: Stack) -> Iterator[None]:
    stack.set_env(DB_MODE="2")
    stack.make("up")
    yield
    stack.set_env(DB_MODE="1")
    stack.make("up")


def test_database_stopped_for_a_minute_with_write_back(
    stack: Stack, write_back: None, running: Load, report: Report
) -> None:
    _stop_database(stack, running, report, 60)
    assert set(running.results("REGISTER")) == {"200"}
    assert set(running.results("call")) == {"200"}


def _stop_database(
    stack: Stack,
    running: Load,
    report: Report,
    seconds: int,
    meanwhile: Callable[[], tuple[Message, ...]] = tuple,
) -> tuple[Message, ...]:
    """Stop it so long under the load, and report what that cost; the rows must be right afterwards.

    What `meanwhile` gives, which is called while it is away.
    """
    what = f"database stopped for {seconds} s, DB_MODE={stack.env['DB_MODE']}"
    stopped = time.monotonic()
    stack.compose("stop", "database")
    time.sleep(seconds)
    answers = meanwhile()
    stack.compose("start", "database")
    running.wait_for_success()
    report(f"{what}: {running.cost('REGISTER', stopped)}; {running.cost('call', stopped)}")
    stack.wait_healthy("database")

    def rows_are_right() -> bool:
        rows = dict(stack.sql("SELECT username, received FROM location"))
        return all(
            rows.get(user, "").startswith(f"sip:{PHONES[number]}:") for number, user in enumerate(REGISTRANTS)
        )

    wait_until("the rows to say where the phones are", rows_are_right, 30, every=0.5)
    return answers
