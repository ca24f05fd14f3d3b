"""The benchmark works: a round of each workload, with the answers that it expects. No time is asserted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.arena import Arena
from bench.configurations import CONTESTANTS, Configuration, Setup
from bench.latency import PERCENTILES, microseconds
from bench.results import figures
from bench.rounds import play_rounds
from bench.server import Server
from bench.stateless import Options, Register
from bench.workload import WrongAnswersError
from bench.workloads import STORED, WORKLOADS, Entry, Place

CHEAP = {name: entry for name, entry in STORED.items() if "sqlite" in name}


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with Arena() as opened:
        yield opened


@pytest.fixture(scope="module")
def servers(arena: Arena) -> Iterator[dict[Place, dict[str, Server]]]:
    """Of every place that the workloads need, with the stock file and with our routes."""
    places = {entry.place for entry in (*WORKLOADS.values(), *CHEAP.values())}
    with ExitStack() as stack:
        yield {
            place: stack.enter_context(
                arena.servers(
                    Setup(defines=place.defines, db_mode=place.db_mode),
                    ("stock", "kemi"),
                    database=place.database,
                    with_relay=place.relay,
                )
            )
            for place in places
        }


@pytest.mark.parametrize(
    "entry", [pytest.param(entry, id=name) for name, entry in {**WORKLOADS, **CHEAP}.items()]
)
def test_each_workload_is_answered_as_expected(entry: Entry, servers: dict[Place, dict[str, Server]]) -> None:
    found = figures(play_rounds(servers[entry.place], entry.kind, rounds=1, seconds=0.01))
    assert set(found) == {"stock", "kemi"}
    assert all(one.cpu > 0 and one.per_second > 0 and one.ratio > 0 for one in found.values())
    assert found["stock"].ratio == 1


def test_the_examples_run_under_the_stock_files_static_half(arena: Arena) -> None:
    absent: dict[str, str] = {}
    with arena.servers(Setup(), ("python", "lua"), absent=absent) as found:
        assert "python" in found
        for kind in (Register, Options):
            play_rounds({"stock": found["python"], **found}, kind, rounds=1, seconds=0.01)
    assert set(absent) <= {"lua"}


def test_a_contestant_that_answers_otherwise_ends_the_run(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(setup: Setup, folder: Path) -> Configuration:
        made = CONTESTANTS["stock"](setup, folder)
        text = made.cfg.read_text()
        broken = text.replace('sl_send_reply("200","Keepalive")', 'sl_send_reply("503","Broken")')
        assert broken != text
        made.cfg.write_text(broken)
        return made

    monkeypatch.setitem(CONTESTANTS, "refusing", refusing)
    with arena.servers(Setup(), ("refusing",)) as found, Options(found["refusing"]) as workload:
        workload.prepare(20)
        with pytest.raises(
            WrongAnswersError, match=r"expected \{'200': 20\} from refusing, found \{'503': 20\}"
        ):
            workload.play()


def test_latency_is_of_every_answer(servers: dict[Place, dict[str, Server]]) -> None:
    with Options(servers[Place()]["stock"]) as workload:
        found = microseconds(workload, rate=1000, seconds=0.2)
    assert len(found) == len(PERCENTILES)
    assert 0 < found[0] <= found[-1]


def test_memory_is_that_of_worker_and_server(servers: dict[Place, dict[str, Server]]) -> None:
    server = servers[Place()]["stock"]
    assert 0 < server.private_bytes() < server.total_bytes()
