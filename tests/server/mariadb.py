"""A MariaDB of our own on loopback, and waiting for a server."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kemi.cli.processes import Server
from tests.server.free_ports import free_port

PATIENCE = 60.0


@dataclass
class MariaDb:
    """A server, empty at first."""

    port: int
    folder: Path
    process: Server | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.is_running

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = ["/usr/sbin/mariadbd", *_place(self.folder)]
        command += [f"--socket={self.socket}", f"--pid-file={self.folder / 'pid'}"]
        command += ["--bind-address=127.0.0.1", f"--port={self.port}"]
        server = self.process = Server("mariadbd", command, self.folder, self.folder / "log")
        wait_for("'ready for connections'", lambda: "ready for connections" in server.output, server)

    def stop(self) -> None:
        """End it in order; its port then refuses who asks."""
        if self.process is not None:
            self.process.stop()

    def fall_silent(self) -> None:
        """From here on it says nothing, neither to whom it knows nor to whom it does not."""
        assert self.process is not None, "the server was never started"
        os.kill(self.process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """The end of :meth:`fall_silent`."""
        if self.process is not None and self.is_running:
            os.kill(self.process.pid, signal.SIGCONT)

    def new_database(self) -> str:
        """Create a schema with a user of its own; Kamailio's DBURL for it."""
        name = f"kemi_{secrets.token_hex(4)}"
        self._administer(f"CREATE DATABASE {name}")
        self._administer(f"GRANT ALL ON {name}.* TO '{name}'@'127.0.0.1' IDENTIFIED BY 'secret'")
        return f"mysql://{name}:secret@127.0.0.1:{self.port}/{name}"

    def _administer(self, statement: str) -> None:
        client = ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root"]
        subprocess.run([*client, "-e", statement], check=True, capture_output=True, timeout=PATIENCE)


@contextmanager
def started(folder: Path) -> Iterator[MariaDb]:
    """A server with its data in `folder`, stopped when the block ends."""
    install = ["mariadb-install-db", *_place(folder)]
    made = subprocess.run(
        [*install, "--auth-root-authentication-method=normal"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    assert made.returncode == 0, f"{' '.join(install)}:\n{made.stdout}"
    mariadb = MariaDb(free_port(), folder)
    try:
        mariadb.start()
        yield mariadb
    finally:
        mariadb.wake()
        mariadb.stop()


def _place(folder: Path) -> list[str]:
    user = "root" if os.geteuid() == 0 else os.environ["USER"]
    # Not in /tmp: at its start a server removes there the tables that another is at work on.
    return ["--no-defaults", f"--user={user}", f"--datadir={folder / 'data'}", f"--tmpdir={folder}"]


def wait_for(what: str, happened: Callable[[], bool], server: Server) -> None:
    """Wait until `happened()`, as long as the server lives and PATIENCE lasts."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, server.failure(f"gave no {what} within {PATIENCE:g} s").message
        assert server.ended(0.1) is None, server.failure(f"ended before {what}").message
