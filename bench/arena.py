"""All contestants with one setup, running at the same time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.configurations import CONTESTANTS, CannotRunError, Setup
from bench.digest import password
from bench.messages import DOMAIN
from bench.server import Server, cores, running_on
from bench.stateless import USERS, user
from kemi.cli.database import connect
from kemi.cli.paths import PACKAGE
from kemi.cli.schema import create, read_tables
from kemi.testing.relay import Relay
from tests.server.mariadb import MariaDb, started

#: The logs of servers of runs that ended with an error.
FAILED = PACKAGE.parent / "runs" / "bench" / "failed"
SQLITE = "sqlite"
MYSQL = "mysql"
#: The command that is put before a server's, which leaves what it writes in the given folder.
Tool = Callable[[Path], Sequence[str]]
_TABLES = ("standard", "usrloc", "auth_db")


def _keep_log(server: Server, kind: type[BaseException] | None, *_: object) -> None:
    """What a server wrote, when something went wrong with it or beside it."""
    if kind is not None and server.log.exists():
        FAILED.mkdir(parents=True, exist_ok=True)
        shutil.copy(server.log, FAILED / f"{server.folder.name}.log")


class Arena:
    """Starts what a setup needs, a database and a relay for each contestant, and stops all of it at the end."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="kemi-bench-")))
        #: Those of the servers that run now.
        self.relays: list[Relay] = []
        self._mariadb: MariaDb | None = None
        self._made = 0

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def servers(
        self,
        setup: Setup,
        names: Iterable[str],
        *,
        database: str = "",
        with_relay: bool = False,
        tool: Tool | None = None,
        absent: dict[str, str] | None = None,
        on: Iterable[int] = (),
    ) -> Iterator[dict[str, Server]]:
        """Started servers by the contestants' names; those that cannot run here are left out and noted in `absent`.

        They run `on` these cores, one of their own unless given.
        """
        own_cores = set(on) or cores()[1]
        with ExitStack() as stack:
            found: dict[str, Server] = {}
            for name in names:
                self._made += 1
                folder = self.folder / f"{self._made}-{name}"
                folder.mkdir()
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
                own = replace(setup, database=self._database(folder, database, setup))
                try:
                    # On the server's core: to wake a core that sleeps costs more than all the rest of a call.
                    with running_on(own_cores):
                        own = replace(own, relay=self._relay(stack, folder) if with_relay else setup.relay)
                    configuration = CONTESTANTS[name](own, folder)
                except CannotRunError as reason:
                    if absent is None:
                        raise
                    absent[name] = str(reason)
                    continue
                server = Server(name, folder, own, configuration, tool(folder) if tool else ())
                stack.push(partial(_keep_log, server))
                stack.callback(server.stop)
                with running_on(own_cores):
                    server.start()
                found[name] = server
            yield found

    def _relay(self, stack: ExitStack, folder: Path) -> str:
        relay = Relay(folder)
        relay.start()
        # It has nothing to save, and a stop in good order takes it a second.
        stack.callback(relay.kill)
        self.relays.append(relay)
        stack.callback(self.relays.remove, relay)
        return relay.control

    def _database(self, folder: Path, kind: str, setup: Setup) -> str:
        if not kind:
            return ""
        url = self._mysql().new_database() if kind == MYSQL else f"sqlite:///{folder / 'kamailio.sqlite'}"
        with connect(url) as database:
            create(database, read_tables(kind, _TABLES, prefixes=(setup.root.sql,)))
            for number in range(USERS if setup.with_auth else 0):
                name = user(number)
                database.execute(
                    "INSERT INTO subscriber (username, domain, password, ha1, ha1b) VALUES (?, ?, ?, '', '')",
                    name,
                    DOMAIN,
                    password(name),
                )
        return url

    def _mysql(self) -> MariaDb:
        if self._mariadb is None:
            folder = self.folder / "mariadb"
            folder.mkdir()
            with running_on(cores()[0]):
                self._mariadb = self._stack.enter_context(started(folder))
        return self._mariadb
