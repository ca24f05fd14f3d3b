"""`kemi status` shows what runs, who is registered, what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kemi.cli.rpc import RpcError
from kemi.cli.workers import processes
from kemi.deadline import wait_until
from kemi.testing.client import Client
from kemi.testing.dialog import call
from kemi.testing.relay import Relay
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from tests.server import phones
from tests.server.command import kemi, ready

# Raises for a MESSAGE to a user of this name.
ROUTES = """
from kemi.router import Router


class Routes(Router):
    def to_registered_contacts(self, request):
        if request.uri_user == "trouble":
            raise LookupError("in the rules")
        return super().to_registered_contacts(request)
"""


@pytest.fixture
def server(start: Servers, relay: Relay) -> KamailioServer:
    return ready(start("WITH_NAT", routes=ROUTES, relay=relay))


@pytest.fixture
def nated_bob(server: KamailioServer) -> Iterator[Client]:
    with phones.registered(phones.nated_bob(server), server) as client:
        yield client


def status(server: KamailioServer, exit_code: int = 0) -> dict[str, Any]:
    result = kemi(server, "status", "--json")
    assert result.exit_code == exit_code, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def workers(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in found["processes"] if row["kind"] in ("UDP worker", "TCP worker")]


def test_all_is_well_after_the_start(server: KamailioServer) -> None:
    found = status(server)
    assert found["problems"] == []
    assert "kamailio" in found["kamailio"]
    assert found["settings"] == str(server.folder / "kemi.yaml")
    assert [row["kind"] for row in workers(found)] == ["UDP worker"] * 2 + ["TCP worker"] * 2
    assert {row["load"] for row in workers(found)} == {0}
    assert len({row["version"] for row in workers(found)}) == 1
    assert all(row["memory"] > 1_000_000 for row in workers(found))


SLOW_START = """
import time
from pathlib import Path

from kemi.router import Router


class Routes(Router):
    def start(self, rank):
        end = time.monotonic() + 30
        while rank == 1 and not Path(__file__).with_name("go").exists() and time.monotonic() < end:
            time.sleep(0.02)
"""


def test_a_worker_that_is_still_starting_does_not_serve_yet(start: Servers) -> None:
    """It opens a connection to a database, say, while the others serve already."""
    server = start.make(routes=SLOW_START)
    server.launch()

    def silent() -> list[int]:
        try:
            found = processes(server.rpc_socket)
        except RpcError:
            return []
        return [process.pid for process in found if process.is_worker and process.record is None]

    wait_until("all workers but one to have started", lambda: len(silent()) == 1, 10)
    [slow] = silent()
    told = f"UDP worker {slow} has not reported: it may still be starting"
    assert status(server, exit_code=1)["problems"] == [told]
    (server.folder / "go").touch()
    assert status(ready(server))["problems"] == []


def test_it_is_readable(server: KamailioServer) -> None:
    result = kemi(server, "status")
    assert result.exit_code == 0
    assert "udp receiver child=0" in result.output
    assert "all workers serve the routes of the last load" in result.output


def test_a_reload_shows_in_load_version_and_time(server: KamailioServer) -> None:
    before = workers(status(server))
    (server.folder / "my_routes.py").write_text(ROUTES + "\n\n")
    assert kemi(server, "reload").exit_code == 0
    after = workers(status(server))
    assert {row["load"] for row in after} == {1}
    assert {row["version"] for row in after}.isdisjoint(row["version"] for row in before)
    assert min(row["loaded_at"] for row in after) > max(row["loaded_at"] for row in before)


def test_a_refused_load_is_a_problem_until_it_is_mended(server: KamailioServer) -> None:
    (server.folder / "my_routes.py").write_text("class Routes(:\n")
    kemi(server, "reload", "--force")
    problems = status(server, exit_code=1)["problems"]
    assert len(problems) == 4
    for problem in problems:
        assert "could not load the routes and serves those of load 0: SyntaxError: invalid syntax" in problem
    (server.folder / "my_routes.py").write_text(ROUTES)
    kemi(server, "reload")
    assert status(server)["problems"] == []


def test_workers_with_different_files_are_a_problem(server: KamailioServer) -> None:
    """As after an RPC app_python.reload that only one worker has seen a message since."""
    (server.folder / "my_routes.py").write_text(ROUTES + "\n")
    server.reload()
    with Client(server) as client:
        assert client.ask("OPTIONS", server.uri).status == 200
    (problem,) = status(server, exit_code=1)["problems"]
    assert "workers serve different files (versions " in problem
    assert problem.endswith("run `kemi reload`")


def test_an_exception_is_counted_and_shown_until_the_next_load(server: KamailioServer) -> None:
    with Client(server) as client:
        for _ in range(3):
            assert client.ask("MESSAGE", "sip:trouble@example.com").status == 500
    found = status(server, exit_code=1)
    assert sum(row["exceptions"] for row in workers(found)) == 3
    assert all(
        "the last at " in problem and "LookupError: in the rules" in problem for problem in found["problems"]
    )
    kemi(server, "reload")
    assert status(server)["problems"] == []


def test_registrations_behind_a_nat_are_counted_with_their_signs(
    server: KamailioServer, nated_bob: Client
) -> None:
    with phones.registered(phones.public_alice(server), server):
        assert status(server)["registrations"] == {
            "users": 2,
            "contacts": 2,
            "nated": 1,
            "signs": {"contact": 1, "contact_address": 1, "contact_port": 1},
        }
        assert "2 users, 2 contacts, 1 behind a NAT (contact 1, contact_address 1, contact_port 1)" in (
            kemi(server, "status").output
        )


def test_a_call_shows_as_a_session_of_the_relay(
    server: KamailioServer, nated_bob: Client, relay: Relay
) -> None:
    assert status(server)["relays"] == [{"url": relay.control, "enabled": True, "sessions": 0}]
    with phones.nated_alice(server) as alice:
        call(alice, nated_bob)
        assert status(server)["relays"][0]["sessions"] == 1


def test_a_relay_that_is_gone_is_a_problem(start: Servers) -> None:
    relay = start.relay()
    server = ready(start("WITH_NAT", relay=relay))
    assert status(server)["problems"] == []
    relay.kill()
    assert status(server, exit_code=1)["problems"] == [f"relay {relay.control} does not answer"]
    server.rpc("rtpproxy.enable", relay.control, 0)
    assert status(server, exit_code=1)["problems"] == [f"relay {relay.control} is out of use"]


def test_without_nat_there_is_no_relay_to_show(start: Servers) -> None:
    assert status(ready(start()))["relays"] == []


def test_a_large_table_is_counted_but_not_looked_through(
    start: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kemi.cli.registrations.MOST_CONTACTS", 1)
    server = ready(start())
    with (
        phones.registered(phones.public_alice(server), server),
        phones.registered(phones.public_bob(server), server),
    ):
        assert status(server)["registrations"]["nated"] is None


def test_who_does_not_answer_is_named(server: KamailioServer) -> None:
    server.stop()
    result = kemi(server, "status")
    assert result.exit_code == 1
    assert f"{server.rpc_socket}: core.version: " in result.output
    assert "is Kamailio running" in result.output
