"""The server of the test kit: it says why it does not start, finds a free port, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kemi.cli.rpc import RpcError
from kemi.deadline import wait_until
from kemi.testing.process import ServerError
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from tests.virtual_environment import activate, empty_environment


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def wait_until_gone(pids: list[int]) -> None:
    wait_until(f"processes {pids} to end", lambda: not any(map(is_running, pids)), 10)


def test_it_is_ready_within_a_second_and_knows_its_processes(start: Servers) -> None:
    begin = time.monotonic()
    server = start()
    # Measured 0.2 s; the rest is for a machine that is busy.
    assert time.monotonic() - begin < 5
    # It may answer before the main process has written the last one down.
    wait_until("the process for TCP", lambda: server.workers()[-1].does == "tcp main process", 5)
    does = [worker.does for worker in server.workers()]
    assert sum(name.startswith("udp receiver") for name in does) == 2
    assert server.rpc("core.version").startswith("kamailio")
    with pytest.raises(RpcError, match=r"no\.such_method"):
        server.rpc("no.such_method")


def test_a_server_that_does_not_start_shows_the_end_of_its_log(start: Servers) -> None:
    server = start.make(settings="natt: {}\n")
    with pytest.raises(ServerError) as refused:
        server.start()
    text = str(refused.value)
    assert text.startswith("kamailio: ended while it was starting (exit status ")
    assert f"the end of {server.log}:" in text
    assert "unknown key; did you mean 'nat'?" in text


def test_a_port_that_was_taken_is_left_for_another(start: Servers) -> None:
    server = start.make()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind((server.address, 0))
        taken.listen()
        server.port = taken.getsockname()[1]
        server.start()
        assert server.port != taken.getsockname()[1]
    assert start.client(server).ask("OPTIONS", server.uri).status == 200


def test_it_starts_again_on_its_port(start: Servers) -> None:
    server = start()
    port, first = server.port, server.process.pid
    server.kill()
    server.start()
    assert (server.port, server.process.pid) != (port, first)
    assert server.port == port
    assert start.client(server).ask("OPTIONS", server.uri).status == 200


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_nothing_is_left_of_it(start: Servers, way: str) -> None:
    server = start()
    pids = [worker.pid for worker in server.workers()]
    getattr(server, way)()
    wait_until_gone(pids)


def test_it_ends_with_a_test_run_that_was_killed(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("k")
    program = (
        "import sys, pathlib, time\n"
        "from kemi.testing.server import KamailioServer\n"
        "server = KamailioServer(pathlib.Path(sys.argv[1])).start()\n"
        "print(*(worker.pid for worker in server.workers()), flush=True)\n"
        "time.sleep(60)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)
    with run:
        assert run.stdout
        pids = [int(word) for word in run.stdout.readline().split()]
        os.kill(run.pid, signal.SIGKILL)
    assert len(pids) > 5
    wait_until_gone(pids)


def test_waiting_for_the_log_names_what_was_awaited(start: Servers) -> None:
    server = start()
    with pytest.raises(ServerError, match=r"waited 0\.1 s for 'no such line' in the log of kamailio"):
        server.wait_for_log("no such line", seconds=0.1)
    server.stop()
    with pytest.raises(ServerError, match="ended, expected 'no such line' in its log"):
        server.wait_for_log("no such line")


def test_a_folder_too_deep_for_unix_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="too long for a unix socket; give a shorter folder"):
        KamailioServer(tmp_path / ("deep" * 30))


def test_a_relay_counts_its_sessions(start: Servers) -> None:
    relay = start.relay()
    assert relay.sessions() == 0
    relay.ask("U call 127.0.0.1 4000 from")
    relay.wait_for_sessions(1)
    relay.kill()
    with pytest.raises(ServerError, match="expected an answer to 'V', found none"):
        relay.ask("V")


def test_the_python_of_an_active_virtual_environment_is_not_kamailios(
    start: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate(empty_environment(tmp_path), monkeypatch)
    assert start().rpc("core.version").startswith("kamailio")
