"""The SIP server: Kamailio on a public address, started as its user would start it."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kemi.cli import rpc
from kemi.cli.database import connect
from kemi.cli.db import prepare
from kemi.cli.paths import BOOT_FILE, kamailio_environment, product_file
from kemi.cli.subscribers import Subscribers
from kemi.deadline import wait_until
from kemi.lab.network import Host
from kemi.lab.process import Process

DOMAIN = "example.test"
DEFINES = ("WITH_NAT", "WITH_AUTH", "WITH_USRLOCDB")
PORT = 5060


class Server:
    """Kamailio on `host`, with a SQLite database in `folder`.

    `sockets` is the folder of its control sockets (their paths must be short); `defines` are switches of the
    configuration file, `values` its texts by name, as ``{"NATPING_INTERVAL": 5}``: a str goes in quoted.
    """

    def __init__(
        self,
        host: Host,
        folder: Path,
        sockets: Path,
        relay: str,
        cfg: Path | None = None,
        settings: str = "",
        defines: Sequence[str] = DEFINES,
        values: Mapping[str, str | int] | None = None,
    ) -> None:
        self.host = host
        self.folder = folder.resolve()
        self.log = self.folder / "kamailio.log"
        self.rpc_socket = sockets / "rpc"
        self._sockets = sockets
        self._cfg = (cfg or product_file("kamailio.cfg")).resolve()
        self._defines = tuple(defines)
        self._values: dict[str, str | int] = {
            "DBURL": f"sqlite:///{self.database}",
            "KEMI_BOOT": str(BOOT_FILE),
            "RPC_SOCKET": str(self.rpc_socket),
            "CTL_SOCKET": f"unixs:{sockets / 'ctl'}",
            "RTPPROXY_SOCK": relay,
            "CHILDREN": 4,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        sockets.mkdir(parents=True, exist_ok=True)
        if settings:
            path = self.folder / "kemi.yaml"
            path.write_text(settings)
            self._values["KEMI_SETTINGS"] = str(path)
        self._values |= values or {}
        prepare(f"sqlite:///{self.database}")
        self.start()

    @property
    def database(self) -> Path:
        return self.folder / "kemi.sqlite"

    @property
    def proxy(self) -> str:
        """Where phones send everything: ``address:port``."""
        return f"{self.host.address}:{PORT}"

    def command(self) -> list[str]:
        """Kamailio's command line."""
        command = ["kamailio", "-f", str(self._cfg), "-DD", "-E", "-m", "64", "-Y", str(self._sockets)]
        command += [word for kind in ("udp", "tcp") for word in ("-l", f"{kind}:{self.proxy}")]
        command.append(f"--alias={DOMAIN}")
        for define in self._defines:
            command += ["-A", define]
        for name, value in self._values.items():
            command += ["-A", f'{name}="{value}"' if isinstance(value, str) else f"{name}={value}"]
        return command

    def start(self) -> None:
        """Start it and wait until it answers. Raises LabError with the end of its log when it does not start."""
        self._process = Process(
            "kamailio",
            self.command(),
            self.host.namespace,
            self.log,
            cwd=self._cfg.parent,
            env=kamailio_environment(),
        )
        wait_until(f"kamailio to answer on its control socket (log: {self.log})", self._answers, seconds=20)

    def stop(self) -> None:
        """End it in good order: what is in memory only goes to the database first."""
        self._process.stop(seconds=10)

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()

    def restart(self) -> None:
        """Stop and start again with the same database."""
        self.stop()
        self.start()

    def rpc(self, method: str, *parameters: str | int) -> Any:
        """Call a remote procedure and return its result. Raises `kemi.cli.rpc.RpcError`."""
        return rpc.call(self.rpc_socket, method, *parameters)

    def add_users(self, passwords: Mapping[str, str]) -> None:
        """Add subscribers of `DOMAIN`, in one transaction."""
        with connect(f"sqlite:///{self.database}") as database:
            subscribers = Subscribers(database)
            for name, password in passwords.items():
                subscribers.add(name, DOMAIN, password)

    def location_rows(self) -> list[dict[str, Any]]:
        """The rows of table location, as they are in the database now."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute("SELECT * FROM location ORDER BY username")]
        finally:
            connection.close()

    def open_transactions(self) -> int:
        """Transactions without a final answer; finished ones stay in memory for some seconds and do not count."""
        counts = self.rpc("tm.stats")
        return int(counts["current"]) - int(counts["waiting"])

    def contacts(self, name: str) -> list[dict[str, Any]]:
        """The contacts that Kamailio itself holds for a user, with its names: Address, Received, Socket ..."""
        try:
            record = self.rpc("ul.lookup", "location", name)
        except rpc.RpcError:
            return []
        return [entry["Contact"] for entry in record["Contacts"]]

    def _answers(self) -> bool:
        self._process.require_running()
        try:
            # A process killed a moment ago may still take the question, but will not answer it.
            rpc.call(self.rpc_socket, "core.uptime", timeout=0.5)
        except rpc.RpcError:
            return False
        return True
