"""A MariaDB of our own on loopback, and waiting for a server."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kemi.cli.processes import Server
from tests.server.free_ports import free_port

PATIENCE = 60.0


@dataclass(frozen=True)
class MariaDb:
    """A running server, empty at first."""

    port: int
    socket: Path

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
    data = folder / "data"
    user = "--user=root" if os.geteuid() == 0 else f"--user={os.environ['USER']}"
    install = ["mariadb-install-db", "--no-defaults", user, f"--datadir={data}"]
    subprocess.run(
        [*install, "--auth-root-authentication-method=normal"],
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    mariadb = MariaDb(free_port(), folder / "socket")
    command = ["/usr/sbin/mariadbd", "--no-defaults", user, f"--datadir={data}", f"--socket={mariadb.socket}"]
    command += [f"--pid-file={folder / 'pid'}", "--bind-address=127.0.0.1", f"--port={mariadb.port}"]
    server = Server("mariadbd", command, folder, folder / "log")
    try:
        wait_for("'ready for connections'", lambda: "ready for connections" in server.output, server)
        yield mariadb
    finally:
        server.stop()


def wait_for(what: str, happened: Callable[[], bool], server: Server) -> None:
    """Wait until `happened()`, as long as the server lives and PATIENCE lasts."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, server.failure(f"gave no {what} within {PATIENCE:g} s").message
        assert server.ended(0.1) is None, server.failure(f"ended before {what}").message
