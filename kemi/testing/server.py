"""A real Kamailio on loopback, with the routes under test, in about a second.

with KamailioServer(folder, defines=["WITH_NAT"], settings=Path("kemi.yaml")) as server:
    with Client(server) as alice:
        assert alice.ask("OPTIONS", server.uri).status == 200
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from kemi.cli import probe, rpc
from kemi.cli.paths import BOOT_FILE, kamailio_environment, product_file
from kemi.testing.client import Client
from kemi.testing.process import LOOPBACK, Process, Running, ServerError, free_port, wait_ready
from kemi.testing.relay import Relay

_ATTEMPTS = 5
_LONGEST_SOCKET_PATH = 106  # what module jsonrpcs takes: one less than sun_path of unix(7) holds


@dataclass(frozen=True)
class Worker:
    """One of Kamailio's processes, as its RPC ``core.psx`` describes it."""

    pid: int
    does: str


class KamailioServer(Running):
    """Kamailio with `cfg` (the product's unless given), its logs and sockets in `folder`.

    `defines` are switched on, `values` are defined with a value (a text is quoted as kamailio.cfg's grammar wants it).
    Not started until :meth:`start` or a ``with`` block; may be stopped and started again on the same port.
    """

    def __init__(
        self,
        folder: Path,
        *,
        defines: Iterable[str] = (),
        values: Mapping[str, str | int | Path] | None = None,
        settings: Path | None = None,
        cfg: Path | None = None,
        address: str = LOOPBACK,
        domains: Iterable[str] = ("example.com",),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder)
        self.defines = tuple(defines)
        self.values: dict[str, str | int | Path] = {"CHILDREN": 2, "KEMI_BOOT": BOOT_FILE, **(values or {})}
        if settings is not None:
            self.values["KEMI_SETTINGS"] = settings
        self.cfg = cfg or product_file("kamailio.cfg")
        self.address = address
        self.port = 0
        self.domains = tuple(domains)
        self.log = folder / "kamailio.log"
        #: The media relay that was started for it, if one was.
        self.relay: Relay | None = None
        self._clients: list[Client] = []
        self._environment = {**kamailio_environment(), **(environment or {})}
        #: Where its JSON-RPC is asked (module jsonrpcs).
        self.rpc_socket = _rpc_socket(folder)
        if not fits(folder):
            raise ServerError(f"{self.rpc_socket}: too long for a unix socket; give a shorter folder")

    @property
    def uri(self) -> str:
        """The server's own SIP address."""
        return f"sip:{self.address}:{self.port}"

    def start(self) -> Self:
        """Start, and return when OPTIONS is answered over UDP and TCP; else ServerError with the log."""
        for attempt in range(_ATTEMPTS):
            begin = len(self.log_text())
            process = self.launch()
            try:
                # TCP last, as Kamailio starts it last: from then on all its processes are there,
                # though one may not have run yet.
                for transport in probe.TRANSPORTS:
                    ready = partial(probe.answers, transport, self.address, self.port, self.uri)
                    wait_ready(process, ready, f"an answer to OPTIONS over {transport.upper()}")
                return self
            except ServerError:
                process.kill()
                taken = "Address already in use" in self.log_text()[begin:]
                if not taken or attempt == _ATTEMPTS - 1:
                    raise
                self.port = 0
        raise AssertionError("unreachable")

    def launch(self) -> Process:
        """Start without waiting, for a server that is expected to refuse."""
        if self._process is not None and self._process.is_running:
            raise ServerError(f"{self.folder}: expected a stopped server, found it running")
        self.port = self.port or free_port(self.address)
        run = self.folder / "run"
        run.mkdir(parents=True, exist_ok=True)
        self._process = Process("kamailio", self.command(), self.folder, self.log, self._environment)
        return self._process

    def command(self) -> list[str]:
        command = ["kamailio", "-f", str(self.cfg), "-DD", "-E", "-Y", str(self.folder / "run")]
        command += ["-m", "64", "-M", "8"]
        for transport in probe.TRANSPORTS:
            command += ["-l", f"{transport}:{self.address}:{self.port}"]
        command += [f"--alias={domain}" for domain in self.domains]
        for define in self.defines:
            command += ["-A", define]
        for name, value in self.values.items():
            command += ["-A", f"{name}={value}" if isinstance(value, int) else f'{name}="{value}"']
        return command

    def client(self, user: str = "alice", **options: str | int) -> Client:
        """A SIP client whose messages go to this server, closed when it stops. Options as for `Client`."""
        client = Client(self, user, **options)  # type: ignore[arg-type]
        self._clients.append(client)
        return client

    def stop(self) -> None:
        """End it in order, and close its clients; nothing happens if it does not run."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        super().stop()

    def rpc(self, method: str, *parameters: str | int) -> Any:
        """Call a method of Kamailio's JSON-RPC; raises RpcError when it answers with an error."""
        return rpc.call(self.rpc_socket, method, *parameters)

    def reload(self) -> None:
        """Have every process load the routes anew, each at its next message."""
        self.rpc("app_python.reload")

    def workers(self) -> list[Worker]:
        """All processes, in the order of their ranks."""
        return [Worker(int(row["PID"]), str(row["DSC"])) for row in self.rpc("core.psx")]

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_for_log(self, text: str, seconds: float = 5, start: int = 0) -> str:
        """Wait until the log holds `text` after its first `start` characters; returns the log from there."""
        return self.process.wait_for_log(text, seconds, start)


def fits(folder: Path) -> bool:
    """Is the path of this folder short enough for the sockets of a server in it?"""
    return len(str(_rpc_socket(folder))) <= _LONGEST_SOCKET_PATH


def _rpc_socket(folder: Path) -> Path:
    # Kamailio's default, below the folder of -Y.
    return folder / "run" / "kamailio_rpc.sock"
