"""Servers for tests: each in a folder of its own, with given routes, settings and users, stopped at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from kemi.cli.database import connect
from kemi.cli.db import prepare
from kemi.cli.subscribers import Subscribers
from kemi.testing.client import Client
from kemi.testing.relay import Relay
from kemi.testing.server import KamailioServer

DOMAIN = "example.com"


class Servers:
    """Makes servers, each in a folder of its own, and stops them all at the end."""

    def __init__(self, new_folder: Callable[[], Path]) -> None:
        self._new_folder = new_folder
        self._stack = ExitStack()

    def __call__(
        self,
        *defines: str,
        settings: str | None = None,
        routes: str | None = None,
        users: Mapping[str, str] | None = None,
        relay: Relay | None = None,
        cfg: Path | None = None,
        **values: str | int | Path,
    ) -> KamailioServer:
        """A started server.

        `settings` is the text of kemi.yaml, `routes` that of my_routes.py beside it (its class is Routes), `users` are
        subscribers in a new SQLite database.
        """
        return self.make(
            *defines, settings=settings, routes=routes, users=users, relay=relay, cfg=cfg, **values
        ).start()

    def make(
        self,
        *defines: str,
        settings: str | None = None,
        routes: str | None = None,
        users: Mapping[str, str] | None = None,
        relay: Relay | None = None,
        cfg: Path | None = None,
        **values: str | int | Path,
    ) -> KamailioServer:
        """The same, not started yet."""
        folder = self._new_folder()
        path: Path | None = None
        if routes is not None:
            (folder / "my_routes.py").write_text(routes)
            settings = "router: my_routes:Routes\n" + (settings or "")
        if settings is not None:
            path = folder / "kemi.yaml"
            path.write_text(settings)
        if relay is not None:
            values["RTPPROXY_SOCK"] = relay.control
        if users is not None:
            values["DBURL"] = database(folder / "kamailio.sqlite", users)
        server = KamailioServer(folder, defines=defines, values=values, settings=path, cfg=cfg)
        self._stack.callback(server.stop)
        return server

    def relay(self) -> Relay:
        """A started RTPProxy."""
        relay = Relay(self._new_folder())
        relay.start()
        # It has nothing to save, and a stop in good order takes it a second.
        self._stack.callback(relay.kill)
        return relay

    def client(self, server: KamailioServer, user: str = "alice", **options: str | int) -> Client:
        """A SIP client, closed at the end. Options as for kemi.testing.client.Client."""
        return self._stack.enter_context(Client(server, user, **options))  # type: ignore[arg-type]

    def close(self) -> None:
        self._stack.close()


def database(path: Path, users: Mapping[str, str]) -> str:
    """Make a SQLite database with Kamailio's tables and these users and passwords; its DBURL."""
    url = f"sqlite:///{path}"
    prepare(url)
    with connect(url) as opened:
        for user, password in users.items():
            Subscribers(opened).add(user, DOMAIN, password)
    return url
