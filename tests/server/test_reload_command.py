"""`kemi reload` returns when every worker runs the new routes, or tells which does not and why."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from kemi.cli.nudge import Nudger, listeners
from kemi.cli.reload import load, summary
from kemi.cli.workers import Process, processes
from kemi.deadline import DeadlineError, wait_until
from kemi.testing.client import Client
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from tests.server.command import kemi, ready
from tests.server.test_features_tls import TlsServer, tls
from tests.server.test_reload import edit, pids, routes_of
from tests.server.versions import ROUTES, ask_version

WORKERS = 4

__all__ = ["tls"]  # a fixture


@pytest.fixture
def server(start: Servers) -> KamailioServer:
    return ready(start("WITH_ANTIFLOOD", routes=ROUTES, CHILDREN=WORKERS))


@pytest.fixture
def ask(start: Servers, server: KamailioServer) -> Callable[[], set[str]]:
    """The versions that twelve requests in a row were answered with."""
    client = start.client(server)
    return lambda: {ask_version(client)[1] for _ in range(12)}


def loads(server: KamailioServer) -> set[int]:
    """The loads that workers serve."""
    found = [process for process in processes(server.rpc_socket) if process.is_worker]
    assert len(found) == 2 * WORKERS, "expected the workers of UDP and of TCP"
    return {process.record.load for process in found if process.record}


def test_idle_workers_serve_the_new_routes_when_it_returns(
    server: KamailioServer, ask: Callable[[], set[str]]
) -> None:
    assert ask() == {"one"}
    for number, version in enumerate(("two", "six", "ten"), 1):
        routes_of(server).write_text(ROUTES.replace('"one"', f'"{version}"'))
        result = kemi(server, "reload")
        assert result.exit_code == 0
        assert f"load {number}: {2 * WORKERS} of {2 * WORKERS} workers serve the new routes" in result.output
        assert loads(server) == {number}
        assert ask() == {version}


def test_it_tells_why_routes_were_refused(server: KamailioServer, ask: Callable[[], set[str]]) -> None:
    routes_of(server).write_text("class Routes(:\n")
    result = kemi(server, "reload", "--force")
    assert result.exit_code == 1
    assert "0 of 8 workers serve the new routes" in result.output
    assert "refused, the previous routes go on serving: SyntaxError: invalid syntax" in result.output
    assert "by all workers" in result.output
    assert ask() == {"one"}
    routes_of(server).write_text(ROUTES.replace('"one"', '"two"'))
    assert (result := kemi(server, "reload")).exit_code == 0, result.output
    assert ask() == {"two"}


def test_what_the_check_finds_is_not_loaded(server: KamailioServer, ask: Callable[[], set[str]]) -> None:
    routes_of(server).write_text("class Routes(:\n")
    result = kemi(server, "reload")
    assert result.exit_code == 1
    assert "my_routes.py:1:14: K1" in result.output
    assert "nothing was loaded; mend what is above, or load it as it is with --force" in result.output
    assert loads(server) == {0}
    assert ask() == {"one"}


# Fails in every second process that loads it.
HALF = """
import fcntl
import pathlib

with open(pathlib.Path(__file__).with_suffix(".count"), "a+") as count:
    fcntl.flock(count, fcntl.LOCK_EX)
    count.write(".")
    count.seek(0)
    if len(count.read()) % 2:
        raise OSError("no licence left")
"""


def test_it_tells_which_processes_refused(server: KamailioServer) -> None:
    routes_of(server).write_text(HALF + ROUTES)
    result = kemi(server, "reload", "--force")
    assert result.exit_code == 1
    assert "4 of 8 workers serve the new routes" in result.output
    assert "OSError: no licence left" in result.output
    assert result.output.count("  by ") == 4
    for process in processes(server.rpc_socket):
        if process.is_worker and process.record and process.record.error:
            assert f"by {process.pid} ({process.does})" in result.output


# While it is loaded, somebody edits it and asks for a load again.
EDITED = """
import pathlib

import KSR

if KSR.htable.sht_get("kemi", "reloads") == 1:
    me = pathlib.Path(__file__)
    me.write_text(me.read_text().replace('"two"', '"six"'))
    KSR.htable.sht_seti("kemi", "reloads", 2)
"""


def test_a_reload_that_is_asked_for_during_another_is_not_lost(
    server: KamailioServer, ask: Callable[[], set[str]]
) -> None:
    """Kamailio would forget it: what a process was busy with counts for what was asked for meanwhile."""
    routes_of(server).write_text(EDITED + ROUTES.replace('"one"', '"two"'))
    result = kemi(server, "reload")
    assert result.exit_code == 0, result.output
    assert loads(server) == {2}
    assert ask() == {"six"}


def test_a_worker_that_slept_through_a_good_edit_gets_no_chance_to(
    server: KamailioServer, ask: Callable[[], set[str]]
) -> None:
    """Without `kemi reload` it would go on with what was there before, when a broken edit follows the good one."""
    edit(routes_of(server), '"one"', '"two"')
    assert (result := kemi(server, "reload")).exit_code == 0, result.output
    edit(routes_of(server), "class Routes", "class Routes(")
    assert kemi(server, "reload", "--force").exit_code == 1
    assert loads(server) == {1}
    assert ask() == {"two"}


def test_broken_settings_are_told_too(start: Servers) -> None:
    server = start(settings="screen: {scanners: [nobody]}\n")
    path = server.folder / "kemi.yaml"
    path.write_text("screen: {scaners: [nobody]}\n")
    result = kemi(server, "reload", "--force")
    assert result.exit_code == 1
    assert "SettingsError: kemi.yaml:1: screen.scaners: unknown key" in result.output


def test_the_nudges_are_no_flood(server: KamailioServer, start: Servers) -> None:
    """Pike would ban an address after 16 requests in 2 seconds."""
    for _ in range(8):
        assert (result := kemi(server, "reload")).exit_code == 0, result.output
    assert server.rpc("htable.dump", "ipban") == []
    with Client(server) as client:
        assert client.ask("OPTIONS", server.uri).status == 200


def free_ipv6_port() -> int:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        return int(probe.getsockname()[1])


def test_workers_of_ipv6_sockets_are_woken_too(start: Servers, tmp_path: Path) -> None:
    cfg = tmp_path / "own.cfg"
    port = free_ipv6_port()
    cfg.write_text(Path("kamailio.cfg").read_text() + f"\nlisten=udp:[::1]:{port}\nlisten=tcp:[::1]:{port}\n")
    server = ready(start(cfg=cfg))
    result = kemi(server, "reload")
    assert "6 of 6 workers serve the new routes" in result.output


def test_tls_wakes_where_there_is_nothing_else(tls: TlsServer) -> None:
    path = ready(tls.server).rpc_socket
    only_tls = [listener for listener in listeners(path) if listener.transport == "tls"]
    assert [listener.port for listener in only_tls] == [tls.port]
    number, _ = load(path, 0)

    def tcp_workers() -> list[Process]:
        return [process for process in processes(path) if process.kind == "TCP worker"]

    def have_loaded() -> bool:
        nudger.wake(tcp_workers())
        return all(process.record and process.record.load == number for process in tcp_workers())

    with Nudger(only_tls) as nudger:
        wait_until("TCP workers woken over TLS to load", have_loaded, 10)


def test_without_the_table_it_asks_for_the_table(start: Servers, tmp_path: Path) -> None:
    text = Path("kamailio.cfg").read_text()
    cfg = tmp_path / "own.cfg"
    cfg.write_text(text.replace("#!define KEMI_STATUS\n", "").replace('"kemi=>', '"other=>'))
    server = start(routes=ROUTES, cfg=cfg)
    client = start.client(server)
    edit(routes_of(server), '"one"', '"two"')
    result = kemi(server, "reload")
    assert result.exit_code == 0
    assert "expected table 'kemi' in kamailio.cfg, found none" in result.output
    assert any(ask_version(client)[1] == "two" for _ in range(20))
    assert "No such htable" not in server.log_text()


def test_routes_start_in_every_process_that_serves(start: Servers) -> None:
    """Router.start is the place for database connections: each process needs its own."""
    started = """
import os
import pathlib

from kemi.router import Router


class Routes(Router):
    def start(self, rank):
        folder = pathlib.Path(__file__).parent / "started"
        folder.mkdir(exist_ok=True)
        (folder / str(os.getpid())).touch(exist_ok=False)
"""
    server = ready(start(routes=started))
    workers = {process.pid for process in processes(server.rpc_socket) if process.is_worker}

    def have_started() -> bool:
        return workers <= {int(path.name) for path in (server.folder / "started").iterdir()}

    wait_until("the routes to start in every worker", have_started, 10)


# -- many reloads


def memory(pid: int) -> int:
    """KiB that only this process has."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:"))


def reload_many(server: KamailioServer, client: Client, times: int) -> list[int]:
    """So many loads in the one UDP worker, each with other text, with messages on their way; its memory after each."""
    (worker,) = (worker.pid for worker in server.workers() if worker.does.startswith("udp receiver"))
    sizes = []
    for number, version in zip(range(times), itertools.cycle(("one", "two", "six")), strict=False):
        routes_of(server).write_text(ROUTES.replace('"one"', f'"{version}"') + f"\n# {'x' * (number % 50)}\n")
        under_way = [client.request("OPTIONS", "sip:version@example.com") for _ in range(5)]
        for request in under_way[:3]:
            client.send(request)
        server.reload()
        for request in under_way[3:]:
            client.send(request)
        versions = [client.receive(what="an answer to each request").reason.split()[0] for _ in under_way]
        assert versions[-1] == version, f"reload {number}: {versions}"
        sizes.append(memory(worker))
    return sizes


@pytest.mark.parametrize("times", [60, pytest.param(1000, marks=pytest.mark.soak)])
def test_reloads_under_traffic_lose_no_message_and_no_memory(start: Servers, times: int) -> None:
    server = start(routes=ROUTES, CHILDREN=1)
    client = start.client(server)
    before = pids(server)
    sizes = reload_many(server, client, times)
    assert before <= pids(server)
    # What the first loads need is kept for the next; after them nothing may be added. It goes up and down by half a
    # MiB, as the garbage of a load comes to lie in one of Python's arenas or in two.
    third = times // 3
    early, late = median(sizes[third : 2 * third]), median(sizes[2 * third :])
    assert late - early < 256, f"KiB after each tenth reload: {sizes[::10]}"


class _Asking(threading.Thread):
    """Asks one OPTIONS after the other until it is ended; what got no answer is in `lost`."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._ended = threading.Event()
        self.asked = 0
        self.lost: list[str] = []

    def run(self) -> None:
        # With pauses, so that the load does not take the processor from the loads.
        while not self._ended.wait(0.005):
            self.asked += 1
            try:
                ask_version(self._client)
            except DeadlineError as error:
                self.lost.append(f"{self.asked}: {error}")

    def end(self) -> None:
        self._ended.set()
        self.join()


@pytest.mark.parametrize("times", [12, pytest.param(1000, marks=pytest.mark.soak)])
def test_all_workers_reload_under_load_and_lose_nothing(start: Servers, times: int) -> None:
    server = ready(start(routes=ROUTES, CHILDREN=2))
    before = pids(server)
    workers = [worker.pid for worker in server.workers() if worker.does.startswith("udp receiver")]
    # A worker each, by and large: the kernel chooses.
    asking = [_Asking(start.client(server)) for _ in range(2)]
    for one in asking:
        one.start()
    try:
        sizes = []
        for number, version in zip(range(times), itertools.cycle(("one", "two", "six")), strict=False):
            routes_of(server).write_text(ROUTES.replace('"one"', f'"{version}"') + f"\n# {number}\n")
            loaded, found = load(server.rpc_socket, 10)
            summary(server.rpc_socket, loaded, found, 10)
            sizes.append([memory(pid) for pid in workers])
    finally:
        for one in asking:
            one.end()
    assert [one.lost for one in asking] == [[]] * len(asking)
    assert sum(one.asked for one in asking) > times
    assert before <= pids(server)
    third = times // 3
    for pid, of_worker in zip(workers, zip(*sizes, strict=True), strict=True):
        early, late = median(of_worker[third : 2 * third]), median(of_worker[2 * third :])
        assert late - early < 512, f"worker {pid}: KiB after each reload: {of_worker}"
