"""`kemi trace` shows which rules run for a request and what each call of KSR gives, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from kemi.cli.trace import tracing, wanted
from kemi.cli.workers import entries, processes
from kemi.deadline import wait_until
from kemi.status import TRACE
from kemi.testing.client import Client
from kemi.testing.dialog import call, hang_up
from kemi.testing.relay import Relay
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from kemi.trace import Event, Step
from tests.server import phones
from tests.server.command import kemi, ready

ROUTES = """
import KSR
from kemi.router import Router
from kemi.verdict import Reply

GREETING = "one"


class Routes(Router):
    def rules(self):
        return (self.greet, *super().rules())

    def greet(self, request):
        if request.is_options and request.has_uri_user:
            if request.uri_user == "trouble":
                raise LookupError("in the rules")
            return Reply(200, GREETING)
        return None
"""


@pytest.fixture
def server(start: Servers, relay: Relay) -> KamailioServer:
    return ready(start("WITH_NAT", routes=ROUTES, relay=relay, CHILDREN=3))


@contextmanager
def traced(
    server: KamailioServer, *, seconds: float = 20, requests: int = 1, call_id: str = ""
) -> Iterator[Any]:
    """The events of a trace: a function that returns those so far, when there are as many as it is told to wait for."""
    with tracing(server.rpc_socket, seconds=seconds, requests=requests, call_id=call_id) as events:
        found: list[Event] = []
        wanted_events = wanted(events, requests, call_id)

        def collect(number: int) -> list[Event]:
            while len(found) < number:
                event = next(wanted_events, None)
                assert event is not None, f"expected {number} events, found {[e.step.what for e in found]}"
                found.append(event)
            return found

        yield collect


def steps(step: Step) -> Iterator[Step]:
    """A step and all in it."""
    yield step
    for inner in step.inside:
        yield from steps(inner)


def named(event: Event, name: str) -> Step:
    return next(step for step in steps(event.step) if step.what == name)


def test_it_shows_the_rules_their_verdict_and_the_calls_of_ksr(server: KamailioServer) -> None:
    with traced(server) as events, Client(server) as client:
        client.ask("MESSAGE", "sip:nobody@example.com")
        (event,) = events(1)
    assert event.line == "MESSAGE sip:nobody@example.com"
    rules = [step.what for step in event.step.inside if not step.what.startswith("KSR.")]
    assert rules[0] == "greet"
    assert rules[-1] == "to_registered_contacts"
    verdict = named(event, "to_registered_contacts")
    assert verdict.gave == "404 Not Found"
    assert [step.what for step in verdict.inside] == ["KSR.registrar.lookup('location')"]
    assert named(event, "KSR.registrar.lookup('location')").gave == "-1"
    assert 0 < verdict.inside[0].took < verdict.took < event.step.took < 1e9


def test_it_is_readable(server: KamailioServer) -> None:
    with background(lambda: kemi(server, "trace", "--seconds", "20")) as result:
        send_until(server, result.is_ready)
    output = result.value().output
    assert "OPTIONS sip:version@example.com" in output
    assert "└── ksr_request_route" in output
    assert "greet → 200 one" in output


class Background:
    """A command in a thread of its own."""

    def __init__(self, run: Callable[[], Result]) -> None:
        self._results: list[Result] = []
        self._thread = threading.Thread(target=lambda: self._results.append(run()))
        self._thread.start()

    def is_ready(self) -> bool:
        return bool(self._results)

    def value(self) -> Result:
        self._thread.join()
        return self._results[0]


@contextmanager
def background(run: Callable[[], Result]) -> Iterator[Background]:
    running = Background(run)
    try:
        yield running
    finally:
        running.value()


def send_until(server: KamailioServer, ready: Callable[[], bool]) -> None:
    """OPTIONS after OPTIONS: the command says to nobody but its user when it has begun."""
    with Client(server) as client:

        def sent() -> bool:
            assert client.ask("OPTIONS", "sip:version@example.com").status == 200
            return ready()

        wait_until("the trace to end", sent, 20, every=0.1)


def test_a_call_shows_branch_reply_and_failure_callbacks(server: KamailioServer) -> None:
    nated_alice, nated_bob = phones.nated_alice(server), phones.nated_bob(server)
    with (
        phones.registered(nated_bob, server) as bob,
        nated_alice as alice,
        traced(server, requests=3) as events,
    ):
        side, other = call(alice, bob)
        hang_up(side, other)
        found = events(8)
    relayed = next(event for event in found if event.line.startswith("INVITE "))
    branch = named(relayed, "ksr_on_branch")
    assert any(
        step.what.startswith("KSR.rtpproxy.rtpproxy_manage(") and step.gave == "1" for step in steps(branch)
    )
    assert branch in named(relayed, "KSR.tm.t_relay()").inside
    callbacks = {(event.step.what, event.line) for event in found}
    assert ("ksr_on_reply", "200 OK") in callbacks
    assert ("ksr_reply_route", "180 Ringing") in callbacks
    assert {event.call_id for event in found} == {relayed.call_id}


def test_a_refused_call_shows_the_failure_callback(server: KamailioServer) -> None:
    with phones.registered(phones.public_bob(server), server) as bob, Client(server, "alice") as alice:
        with traced(server) as events:
            alice.invite(bob.uri)
            bob.reply(bob.expect("INVITE"), 486)
            alice.expect(486)
            found = events(4)
        assert "ksr_on_failure" in {step.what for event in found for step in steps(event.step)}


def test_one_call_is_picked_by_its_call_id(server: KamailioServer) -> None:
    with Client(server) as client:
        wanted_one = client.request("OPTIONS", "sip:version@example.com")
        call_id = str(wanted_one.header("Call-ID"))
        with traced(server, call_id=call_id) as events:
            for _ in range(5):
                client.ask("OPTIONS", "sip:version@example.com")
            client.send(wanted_one)
            client.expect(200)
            (event,) = events(1)
        assert event.call_id == call_id


def test_an_exception_is_shown_and_guarded_as_ever(server: KamailioServer) -> None:
    with traced(server) as events, Client(server) as client:
        assert client.ask("OPTIONS", "sip:trouble@example.com").status == 500
        (event,) = events(1)
    assert named(event, "greet").gave == "raised LookupError: in the rules"


def test_it_traces_the_routes_that_serve_not_what_stands_in_the_files(server: KamailioServer) -> None:
    (server.folder / "my_routes.py").write_text(ROUTES.replace('"one"', '"two"'))
    result = kemi(server, "trace", "--seconds", "1")
    assert result.exit_code == 1
    assert "the files have changed since they were loaded; run `kemi reload` first" in result.output
    with Client(server) as client:
        assert {client.ask("OPTIONS", "sip:version@example.com").reason for _ in range(9)} == {"one"}


def test_a_reload_during_a_trace_loads_and_the_trace_goes_on(server: KamailioServer) -> None:
    with traced(server, requests=100) as events, Client(server) as client:
        assert client.ask("OPTIONS", "sip:version@example.com").reason == "one"
        (server.folder / "my_routes.py").write_text(ROUTES.replace('"one"', '"two"'))
        assert (result := kemi(server, "reload")).exit_code == 0, result.output
        assert {client.ask("OPTIONS", "sip:version@example.com").reason for _ in range(9)} == {"two"}
        assert named(events(10)[-1], "greet").gave == "200 two"


def test_afterwards_nothing_is_left_and_reload_works(server: KamailioServer) -> None:
    with traced(server) as events, Client(server) as client:
        client.ask("OPTIONS", "sip:version@example.com")
        events(1)
    assert TRACE not in entries(server.rpc_socket)
    assert kemi(server, "status").exit_code == 0
    (server.folder / "my_routes.py").write_text(ROUTES.replace('"one"', '"two"'))
    assert (result := kemi(server, "reload")).exit_code == 0, result.output
    with Client(server) as client:
        assert {client.ask("OPTIONS", "sip:version@example.com").reason for _ in range(9)} == {"two"}


def test_a_second_trace_has_to_wait(server: KamailioServer) -> None:
    with traced(server):
        result = kemi(server, "trace", "--seconds", "1")
    assert result.exit_code == 1
    assert "another trace runs until" in result.output


def test_a_killed_command_leaves_the_calls_alone_and_the_trace_ends(
    server: KamailioServer, tmp_path: Path
) -> None:
    arguments = ["trace", "-n", "100", "--seconds", "2", "--json", "--socket", str(server.rpc_socket)]
    with (tmp_path / "out").open("wb") as out:
        command = subprocess.Popen(
            [sys.executable, "-c", "from kemi.cli.main import main; main()", *arguments], stdout=out
        )
    try:
        with Client(server) as client:

            def is_traced() -> bool:
                client.ask("OPTIONS", "sip:version@example.com")
                return bool((tmp_path / "out").read_text())

            wait_until("the first event", is_traced, 20, every=0.05)
            command.send_signal(signal.SIGKILL)
            command.wait()
            for _ in range(30):
                assert client.ask("OPTIONS", "sip:version@example.com").status == 200
    finally:
        command.kill()
        command.wait()
    first = json.loads((tmp_path / "out").read_text().splitlines()[0])
    assert first["line"] == "OPTIONS sip:version@example.com"
    (server.folder / "my_routes.py").write_text(ROUTES.replace('"one"', '"two"'))
    assert (result := kemi(server, "reload")).exit_code == 0, result.output
    with Client(server) as client:
        assert {client.ask("OPTIONS", "sip:version@example.com").reason for _ in range(9)} == {"two"}


def test_a_reader_that_reads_nothing_delays_no_message(server: KamailioServer) -> None:
    """The socket's queue fills up after a few events; what comes then is lost, and the next event says so."""
    with traced(server, requests=100) as events, Client(server) as client:
        begin = time.monotonic()
        for _ in range(80):
            assert client.ask("OPTIONS", "sip:version@example.com").status == 200
        assert time.monotonic() - begin < 5
        assert events(5)


def test_no_message_in_time_is_told(server: KamailioServer) -> None:
    result = kemi(server, "trace", "--seconds", "0.5")
    assert result.exit_code == 1
    assert "no such message within 0.5 s" in result.output
    assert all(
        process.record and process.record.trace
        for process in processes(server.rpc_socket)
        if process.is_worker
    )
