"""`kemi run`: a real Kamailio with the product's kamailio.cfg and the real relay, run as a person runs them."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

import pytest

from kemi.cli import rpc
from kemi.cli.database import connect
from kemi.cli.processes import Server
from kemi.deadline import wait_until
from tests.server import mariadb
from tests.server.free_ports import free_port, udp_socket
from tests.virtual_environment import activate, empty_environment

PATIENCE = 30.0
KEMI = Path(sys.executable).parent / "kemi"
DOMAIN = "example.org"


def is_free(port: int) -> bool:
    with contextlib.suppress(OSError), udp_socket(port):
        return True
    return False


def kemi(*arguments: str, typed: str = "") -> str:
    done = subprocess.run(
        [KEMI, *arguments], input=typed, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return done.stdout


class Run:
    """One `kemi run` on loopback, with ports and a folder of its own."""

    def __init__(
        self, folder: Path, *options: str, port: int = 0, control: int = 0, database: str = ""
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.control = control or free_port()
        self.database = database or f"sqlite:///{folder / 'kemi.sqlite'}"
        command = [str(KEMI), "run", "--address=127.0.0.1", f"--domain={DOMAIN}", f"--port={self.port}"]
        command += [f"--control=udp:127.0.0.1:{self.control}", f"--db={self.database}", f"--state={folder}"]
        self.server = Server("kemi run", [*command, *options], folder, folder / "run.log")

    @property
    def output(self) -> str:
        return self.server.output

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.output:
            assert time.monotonic() < deadline, self.server.failure(f"did not print '{text}'").message
            if self.server.ended(0.1) is not None:
                assert text in self.output, self.server.failure(f"ended without '{text}'").message

    def children(self) -> dict[str, int]:
        """Name and process id of what it has started."""
        pid = self.server.pid
        found = {}
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_text()
            found["kamailio" if "\0-DD\0" in command else "relay"] = int(child)
        return found

    def interrupt(self) -> int | None:
        """Ctrl-C: the terminal signals the whole group."""
        os.killpg(self.server.pid, signal.SIGINT)
        return self.server.ended(PATIENCE)

    def stop(self) -> None:
        """End it after a test."""
        # Without its relay it stops at once; a stop in good order, as tested below, takes that one a second.
        if self.server.is_running and (relay := self.children().get("relay")):
            os.kill(relay, signal.SIGKILL)
        # It gives each server ten seconds; killed before, it could not end them.
        self.server.stop(seconds=PATIENCE)

    def everything_is_free(self) -> bool:
        return is_free(self.port) and is_free(self.control)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path)
    try:
        run.wait_for("Ctrl-C")
        yield run
    finally:
        run.stop()


def register(port: int, call: str, cseq: int, contact: str, authorization: str = "") -> str:
    with udp_socket() as phone:
        phone.connect(("127.0.0.1", port))
        host = "{}:{}".format(*phone.getsockname())
        phone.send(
            (
                f"REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch=z9hG4bK{call}{cseq}\r\n"
                f"From: <sip:alice@{DOMAIN}>;tag={call}\r\nTo: <sip:alice@{DOMAIN}>\r\nCall-ID: {call}\r\n"
                f"CSeq: {cseq} REGISTER\r\nMax-Forwards: 70\r\nContact: <{contact}>\r\nUser-Agent: test phone\r\n"
                f"Expires: 600\r\n{authorization}Content-Length: 0\r\n\r\n"
            ).encode()
        )
        return phone.recv(65535).decode()


def authorization(challenge: str, password: str) -> str:
    """Answer a 401 (RFC 2617, section 3.2.2, without qop)."""
    nonce = re.findall(r'nonce="([^"]+)"', challenge)[0]
    digests = [f"alice:{DOMAIN}:{password}", f"REGISTER:sip:{DOMAIN}"]
    ha1, ha2 = (md5(text.encode()).hexdigest() for text in digests)
    response = md5(f"{ha1}:{nonce}:{ha2}".encode()).hexdigest()
    return (
        f'Authorization: Digest username="alice", realm="{DOMAIN}", nonce="{nonce}", uri="sip:{DOMAIN}", '
        f'response="{response}"\r\n'
    )


def add_alice(run: Run) -> str:
    """Her password."""
    added = kemi("user", "add", f"alice@{DOMAIN}", f"--db={run.database}")
    return added.split("password ")[1].split()[0]


def register_alice(run: Run, password: str) -> str:
    """The contact that she registered."""
    call, contact = secrets.token_hex(8), "sip:alice@127.0.0.1:4444"
    challenge = register(run.port, call, 1, contact)
    assert challenge.startswith("SIP/2.0 401 ")
    registered = register(run.port, call, 2, contact, authorization(challenge, password))
    assert registered.startswith("SIP/2.0 200 ")
    assert contact in registered
    return contact


def test_a_phone_can_register_with_what_was_printed(running: Run) -> None:
    for line in (f"Domain      {DOMAIN}", f"Proxy       127.0.0.1:{running.port}", "Transport   UDP or TCP"):
        assert line in running.output
    contact = register_alice(running, add_alice(running))
    with connect(running.database) as database:
        assert database.rows("SELECT username, contact FROM location") == [("alice", contact)]


def contacts(run: Run) -> int:
    counted = rpc.call(run.folder / "run" / "kamailio_rpc.sock", "stats.fetch", "location_contacts")
    return int(counted["usrloc.location_contacts"])


def test_it_starts_again_with_ten_thousand_phones_registered(tmp_path: Path, running: Run) -> None:
    register_alice(running, add_alice(running))
    running.interrupt()
    columns = "contact, received, expires, callid, user_agent, socket"
    with connect(running.database) as database:
        database.execute(
            f"INSERT INTO location (ruid, username, {columns}) "
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 10000) "
            f"SELECT ruid || n, username || n, {columns} FROM location, number"
        )
    again = Run(tmp_path)
    try:
        again.wait_for("Ctrl-C")
        # One worker reads them while the others serve already.
        wait_until("10,001 contacts to be read from the database", lambda: contacts(again) == 10001, PATIENCE)
    finally:
        again.stop()


def test_users_and_locations_can_be_in_mysql_which_may_go_away(tmp_path: Path) -> None:
    (tmp_path / "mariadb").mkdir()
    with mariadb.started(tmp_path / "mariadb") as server:
        run = Run(tmp_path, database=server.new_database())
        try:
            run.wait_for("Ctrl-C")
            password = add_alice(run)
            contact = register_alice(run, password)
            with connect(run.database) as database:
                assert database.rows("SELECT username, contact FROM location") == [("alice", contact)]
            server.stop()
            register_alice(run, password)
        finally:
            run.stop()


def test_the_python_of_an_active_virtual_environment_is_not_kamailios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate(empty_environment(tmp_path), monkeypatch)
    run = Run(tmp_path)
    try:
        run.wait_for("Ctrl-C")
    finally:
        run.stop()


@pytest.mark.parametrize("how", ["ctrl-c", "sigterm"])
def test_a_stop_ends_both_servers_and_frees_their_ports(running: Run, how: str) -> None:
    assert set(running.children()) == {"kamailio", "relay"}
    if how == "ctrl-c":
        status = running.interrupt()
    else:
        os.kill(running.server.pid, signal.SIGTERM)
        status = running.server.ended(PATIENCE)
    assert (status, running.output.splitlines()[-1]) == (0, "stopped")
    assert running.everything_is_free()


def test_ctrl_c_while_starting_is_a_clean_stop_too(tmp_path: Path) -> None:
    run = Run(tmp_path)
    log = tmp_path / "log" / "rtpproxy.log"
    deadline = time.monotonic() + PATIENCE
    while not log.exists():
        assert time.monotonic() < deadline, run.server.failure("did not start the relay").message
        assert run.server.ended(0.01) is None, run.output
    status = run.interrupt()
    assert (status, run.output) == (0, "stopped\n")
    assert run.everything_is_free()


def test_it_runs_again_in_the_same_folder(running: Run) -> None:
    assert running.interrupt() == 0
    again = Run(running.folder, port=running.port, control=running.control)
    try:
        again.wait_for("Ctrl-C")
    finally:
        again.stop()


@pytest.mark.parametrize("victim", ["relay", "kamailio"])
def test_when_one_server_dies_it_says_which_and_stops_the_other(running: Run, victim: str) -> None:
    os.kill(running.children()[victim], signal.SIGKILL)
    assert running.server.ended(PATIENCE) == 1
    assert f"Error: {victim} ended by itself (status -9); the end of " in running.output
    tail = running.output.split("ended by itself")[1]
    assert ("rtpproxy: ready" if victim == "relay" else "INFO") in tail
    assert running.everything_is_free()


def test_nothing_outlives_a_killed_run(running: Run) -> None:
    os.kill(running.server.pid, signal.SIGKILL)
    # Kamailio itself gives its processes 60 s to end, and needs them if one was just being started.
    patience = 60 + PATIENCE
    deadline = time.monotonic() + patience
    while not running.everything_is_free():
        assert time.monotonic() < deadline, f"ports still in use {patience:g} s after `kemi run` was killed"
        running.server.ended(0.1)


def test_a_taken_sip_port_is_named_with_its_process(tmp_path: Path) -> None:
    with udp_socket() as taken:
        port = taken.getsockname()[1]
        run = Run(tmp_path, port=port)
        assert run.server.ended(PATIENCE) == 1
        assert re.fullmatch(
            rf"Error: udp:127.0.0.1:{port} is already used by \S+ \(process {os.getpid()}\); "
            r"stop it or choose another port\n",
            run.output,
        )
    assert not (tmp_path / "log").exists()


def test_a_taken_tcp_port_is_found_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = Run(tmp_path, port=port)
        assert run.server.ended(PATIENCE) == 1
        assert f"tcp:127.0.0.1:{port} is already used by " in run.output


def test_a_taken_control_port_is_found(tmp_path: Path) -> None:
    with udp_socket() as taken:
        control = taken.getsockname()[1]
        run = Run(tmp_path, control=control)
        assert run.server.ended(PATIENCE) == 1
        assert f"udp:127.0.0.1:{control} is already used by " in run.output


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where a folder is needed")
    run = Run(tmp_path)
    assert run.server.ended(PATIENCE) == 1
    assert f"Error: --state {tmp_path}: cannot create {tmp_path / 'run'}: File exists" in run.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "Error: not started; mend what is above, or start it as it is with --force"),
        (("--force",), "Error: kamailio ended while it was starting"),
    ],
)
def test_settings_that_are_refused_stop_the_start_with_the_reason(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    settings = tmp_path / "kemi.yaml"
    settings.write_text("nat:\n  tests: [contcat]\n")
    run = Run(tmp_path, f"--settings={settings}", *options)
    assert run.server.ended(PATIENCE) == 1
    assert said in run.output
    assert "nat.tests: unknown test 'contcat'" in run.output
    assert run.everything_is_free()


def test_the_settings_beside_you_are_used(tmp_path: Path) -> None:
    (tmp_path / "kemi.yaml").write_text("profile: stock\n")
    run = Run(tmp_path)
    try:
        run.wait_for("Ctrl-C")
        assert "built-in defaults" not in run.output
    finally:
        run.stop()


def test_remote_control_answers_on_the_socket_of_the_run(running: Run) -> None:
    path = running.folder / "run" / "kamailio_rpc.sock"
    assert "kamailio" in rpc.call(path, "core.version")
    assert kemi("reload", f"--socket={path}").startswith(f"{path}: load 1: ")
    with pytest.raises(rpc.RpcError, match=r"kamailio_rpc.sock: core.nonsense: error 500: Method Not Found"):
        rpc.call(path, "core.nonsense")


def test_remote_control_without_a_server_names_the_socket(tmp_path: Path) -> None:
    with pytest.raises(
        rpc.RpcError, match=r"nobody: core.version: No such file or directory; is Kamailio running"
    ):
        rpc.call(tmp_path / "nobody", "core.version")


def test_remote_control_does_not_wait_for_ever(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as silent:
        silent.bind(str(tmp_path / "silent"))
        with pytest.raises(rpc.RpcError, match=r"silent: core.version: no answer within 0.1 s"):
            rpc.call(tmp_path / "silent", "core.version", timeout=0.1)


def test_the_paths_for_ones_own_kamailio_cfg_exist() -> None:
    assert Path(kemi("boot-path").strip()).name == "kemi_boot.py"
    assert Path(kemi("boot-path").strip()).is_file()
    assert Path(kemi("cfg-path").strip()).is_file()


def test_the_command_imports_nothing_before_it_is_needed() -> None:
    program = "import sys, kemi.cli.main; sys.exit(','.join({'rich', 'numpy', 'sqlite3'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_every_command_of_the_overview_can_be_called() -> None:
    overview = kemi("--help").split("Commands:\n")[1]
    commands = [line.split()[0] for line in overview.splitlines() if line.strip()]
    assert {"run", "user", "db", "reload", "relay", "lab", "boot-path", "cfg-path"} <= set(commands)
    for command in commands:
        assert "sage: " in kemi(command, "--help")
