"""A real Kamailio on loopback, with the routes under test, in about a second.

with KamailioServer(folder, defines=["WITH_NAT"], settings=Path("kemi.yaml")) as server:
    with Client(server) as alice:
        assert alice.ask("OPTIONS", server.uri).status == 200
"""

from __future__ import annotations

import contextlib
import random
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kemi.cli import rpc
from kemi.cli.paths import BOOT_FILE, product_file
from kemi.lab.deadline import wait_until
from kemi.testing.process import Process, ServerError

LOOPBACK = "127.0.0.1"
# Below the ports that the system hands out by itself, so that no client takes one between our probe and the start.
_PORTS = range(12000, 32000)
_ATTEMPTS = 5
_READY_SECONDS = 15.0
_LONGEST_SOCKET_PATH = 107  # sun_path of unix(7), the closing NUL left out


@dataclass(frozen=True)
class Worker:
    """One of Kamailio's processes, as its RPC ``core.psx`` describes it."""

    pid: int
    does: str


class KamailioServer:
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
        self.folder = folder
        self.defines = tuple(defines)
        self.values: dict[str, str | int | Path] = {"CHILDREN": 2, "KEMI_BOOT": BOOT_FILE, **(values or {})}
        if settings is not None:
            self.values["KEMI_SETTINGS"] = settings
        self.cfg = cfg or product_file("kamailio.cfg")
        self.address = address
        self.port = 0
        self.domains = tuple(domains)
        self.log = folder / "kamailio.log"
        self._environment = environment
        self._process: Process | None = None
        # Kamailio's default, below the folder of -Y.
        self._rpc_socket = folder / "run" / "kamailio_rpc.sock"
        if len(str(self._rpc_socket)) > _LONGEST_SOCKET_PATH:
            raise ServerError(f"{self._rpc_socket}: too long for a unix socket; give a shorter folder")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def uri(self) -> str:
        """The server's own SIP address."""
        return f"sip:{self.address}:{self.port}"

    @property
    def process(self) -> Process:
        if self._process is None:
            raise ServerError(f"{self.folder}: expected a started server; call start() first")
        return self._process

    def start(self) -> Self:
        """Start, and return when an OPTIONS is answered. Raises ServerError with the log if that fails."""
        for attempt in range(_ATTEMPTS):
            begin = len(self.log_text())
            process = self.launch()
            try:
                _wait_ready(process, self._answers_options, "an answer to OPTIONS")
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
        if self._process is not None and self._process.exit_status is None:
            raise ServerError(f"{self.folder}: expected a stopped server, found it running")
        self.port = self.port or free_port(self.address)
        run = self.folder / "run"
        run.mkdir(parents=True, exist_ok=True)
        self._process = Process("kamailio", self.command(), self.folder, self.log, self._environment)
        return self._process

    def command(self) -> list[str]:
        command = ["kamailio", "-f", str(self.cfg), "-DD", "-E", "-Y", str(self.folder / "run")]
        command += ["-m", "64", "-M", "8"]
        for transport in ("udp", "tcp"):
            command += ["-l", f"{transport}:{self.address}:{self.port}"]
        command += [f"--alias={domain}" for domain in self.domains]
        for define in self.defines:
            command += ["-A", define]
        for name, value in self.values.items():
            command += ["-A", f"{name}={value}" if isinstance(value, int) else f'{name}="{value}"']
        return command

    def stop(self) -> None:
        """End the server in order; nothing happens if it does not run."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End all its processes at once (SIGKILL)."""
        self.process.kill()

    def rpc(self, method: str, *parameters: str | int) -> Any:
        """Call a method of Kamailio's JSON-RPC; raises RpcError when it answers with an error."""
        return rpc.call(self._rpc_socket, method, *parameters)

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

    def _answers_options(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.05)
            probe.connect((self.address, self.port))
            host, port = probe.getsockname()
            tag = random.randrange(2**32)
            lines = [
                f"OPTIONS {self.uri} SIP/2.0",
                f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK-ready-{tag}",
                f"From: <sip:ready@{host}>;tag={tag}",
                f"To: <{self.uri}>",
                f"Call-ID: ready-{tag}",
                "CSeq: 1 OPTIONS",
                "Max-Forwards: 70",
                "Content-Length: 0",
            ]
            with contextlib.suppress(OSError):
                probe.send("\r\n".join([*lines, "", ""]).encode())
                return probe.recv(65535).startswith(b"SIP/2.0 ")
            return False


class Relay:
    """The real RTPProxy on loopback, as `python rtpproxy` starts it."""

    def __init__(self, folder: Path, address: str = LOOPBACK) -> None:
        self.address = address
        self.port = free_port(address)
        self.log = folder / "relay.log"
        self._folder = folder
        self._process: Process | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def control(self) -> str:
        """The control socket as kamailio.cfg's RTPPROXY_SOCK names it."""
        return f"udp:{self.address}:{self.port}"

    def start(self) -> Self:
        command = [sys.executable, str(product_file("rtpproxy")), f"--control={self.control}"]
        command += [f"--media-address={self.address}", "--ports=61000-65000"]
        self._process = Process("rtpproxy", command, self._folder, self.log)
        try:
            _wait_ready(self._process, lambda: self._asks("V") != "", "an answer to the command V")
        except ServerError:
            self._process.kill()
            raise
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def ask(self, command: str) -> str:
        """Send a command of RTPProxy's control protocol; raises ServerError without an answer within 2 s."""
        answer = self._asks(command, seconds=2)
        if not answer:
            raise ServerError(f"{self.control}: expected an answer to {command!r}, found none within 2 s")
        return answer

    def sessions(self) -> int:
        """How many calls it relays now."""
        counts = dict(line.split(": ", 1) for line in self.ask("I").splitlines() if ": " in line)
        return int(counts["active sessions"])

    def wait_for_sessions(self, number: int, seconds: float = 5) -> None:
        """Wait until it relays `number` calls; raises DeadlineError."""
        wait_until(f"the relay to have {number} sessions", lambda: self.sessions() == number, seconds)

    def _asks(self, command: str, seconds: float = 0.1) -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            control.settimeout(seconds)
            control.connect((self.address, self.port))
            with contextlib.suppress(OSError):
                # The cookie in front: a repeated one would be answered from the relay's cache.
                control.send(f"{random.randrange(2**63)} {command}".encode())
                return control.recv(65535).decode().partition(" ")[2].strip()
            return ""


def free_port(address: str = LOOPBACK) -> int:
    """A port that nobody uses now, neither for UDP nor for TCP."""
    for _ in range(100):
        port = random.choice(_PORTS)
        with contextlib.suppress(OSError):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind((address, port))
            return port
    raise ServerError(f"{address}: expected a free port in {_PORTS}, found none in 100 attempts")


def _wait_ready(process: Process, ready: Callable[[], bool], awaited: str) -> None:
    def asked() -> bool:
        if process.exit_status is not None:
            raise process.failure("ended while it was starting")
        return ready()

    try:
        wait_until(awaited, asked, _READY_SECONDS)
    except TimeoutError as problem:
        raise process.failure(str(problem)) from None
