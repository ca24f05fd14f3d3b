"""One configuration at work: Kamailio and a relay of its own, in a network of their own."""

from __future__ import annotations

import itertools
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kemi.cli import rpc
from kemi.cli.database import connect
from kemi.cli.paths import PACKAGE
from kemi.cli.schema import create, read_tables
from kemi.deadline import wait_until
from kemi.lab.errors import LabError
from kemi.lab.namespace import RUN
from kemi.lab.network import Host
from kemi.lab.process import Process
from tests.parity.configuration import TLS_CFG, Configuration, Options
from tests.parity.network import MARK_PORT, SERVER, TLS_PORT, Capture, Datagram, network
from tests.parity.relays import MediaRelay, RtpEngine, RtpProxy
from tests.parity.root import MACHINE, Root

DOMAIN = "example.com"
SECONDS = 10.0
Configure = Callable[[Options, Path], Configuration]
#: An INSERT with its values, for the database that each server gets a copy of.
Row = tuple[str, tuple[str | int, ...]]


_SERVER_TAG = re.compile(r"[0-9a-f]{32}[.-][0-9a-f.-]+")
#: Columns with moments and random values.
_VOLATILE = {
    "etag",
    "received_time",
    "updated",
    "updated_winfo",
    "id",
    "ruid",
    "expires",
    "last_modified",
    "keepalive",
    "server_id",
    "connection_id",
    "time",
    "time_hires",
}


def _without_random_tag(value: str) -> str:
    return "<tag>" if _SERVER_TAG.fullmatch(value) else value


class World:
    """A running server. `configure` makes its configuration in a given folder; `rows` are its database's contents.

    `root` is where its Kamailio is installed.
    """

    def __init__(
        self,
        folder: Path,
        options: Options,
        configure: Configure,
        rows: Iterable[Row] = (),
        domains: Iterable[str] = (DOMAIN,),
        root: Root = MACHINE,
    ) -> None:
        self.folder = folder.resolve()
        self.options = options
        self.name = ""
        self.log = self.folder / "kamailio.log"
        self._configure = configure
        self._rows = rows
        self._domains = domains
        self._root = root
        self._stack = ExitStack()
        self._marks = itertools.count(1)
        self._log_read = 0

    def __enter__(self) -> Self:
        # What an earlier run left there would be taken for this one's.
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        self.namespace = self._stack.enter_context(network())
        host = Host(self.namespace, SERVER, "lo")
        # The name of a namespace is unique, and its folder below /run short enough for unix sockets.
        self._sockets = RUN / self.namespace.name
        self._sockets.mkdir()
        self._stack.callback(shutil.rmtree, self._sockets, ignore_errors=True)
        self.capture = Capture(self.namespace)
        self._stack.callback(self.capture.close)
        self.relay: MediaRelay | None = None
        if self.options.with_nat:
            kind = RtpEngine if "WITH_RTPENGINE" in self.options.defines else RtpProxy
            self.relay = kind(host, self.folder)
            self._stack.callback(self.relay.stop)
        self.database = self.folder / "kamailio.sqlite"
        with connect(f"sqlite:///{self.database}") as database:
            create(database, read_tables("sqlite", prefixes=(self._root.sql,)))
            for statement, values in self._rows:
                database.execute(statement, *values)
        if self.options.with_tls:
            self._make_certificate()
        configuration = self._configure(self.options, self.folder)
        self.name = configuration.name
        # From the server's own address: pike does not count these.
        self._mark = self.socket((SERVER, MARK_PORT))
        self._stack.callback(self._mark.close)
        # Who asks over the control socket gets the answer at an address in the folder for temporary files.
        shared = (PACKAGE.parent, Path(tempfile.gettempdir()), self.folder, self._sockets)
        command = self._root.command(self._command(configuration), shared)
        self._process = Process("kamailio", command, self.namespace, self.log, cwd=self.folder)
        self._stack.callback(self._process.stop)
        wait_until(f"kamailio to answer on its control socket (log: {self.log})", self._is_up, seconds=20)
        self._wait_for_tcp()
        #: Does it keep statistics of dialogs (module dlgs)? The stock file does from 6.0 on.
        self.counts_dialogs = "dlgs.getall" in self.rpc("system.listMethods")
        self.settle()
        self.new_log()

    def _command(self, configuration: Configuration) -> list[str]:
        command = ["kamailio", "-f", str(configuration.cfg), "-DD", "-E", "-m", "128", "-M", "16"]
        command += ["-Y", str(self._sockets)]
        command += [
            word for kind in ("udp", "tcp") for word in ("-l", f"{kind}:{SERVER}:{self.options.port}")
        ]
        if self.options.with_tls:
            command += ["-l", f"tls:{SERVER}:{TLS_PORT}"]
        command += [f"--alias={domain}" for domain in self._domains]
        defines = (*self.options.defines, f'DBURL="sqlite:///{self.database}"', *configuration.arguments)
        return command + [word for define in defines for word in ("-A", define)]

    def _is_up(self) -> bool:
        self._process.require_running()
        try:
            rpc.call(self._sockets / "kamailio_rpc.sock", "core.uptime", timeout=0.5)
        except rpc.RpcError:
            return False
        return True

    def _make_certificate(self) -> None:
        key, certificate = self.folder / "server.key", self.certificate
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]
        command += ["-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}", "-days", "2"]
        command += ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
        text = f"[server:default]\nmethod = TLSv1.2+\nprivate_key = {key}\ncertificate = {certificate}\n"
        (self.folder / TLS_CFG).write_text(f"{text}[client:default]\nverify_certificate = no\n")

    def _wait_for_tcp(self) -> None:
        # Kamailio starts it last: from then on all its processes are there, and have said hello to the relay.
        with self.socket((SERVER, MARK_PORT), socket.SOCK_STREAM) as stream:
            stream.settimeout(SECONDS)
            stream.connect((SERVER, self.options.port))
            stream.sendall(ping("mark-tcp", "TCP", SERVER, MARK_PORT))
            if not stream.recv(65536).startswith(b"SIP/2.0 200 "):
                raise LabError(f"expected 200 to OPTIONS over TCP; see {self.log}")

    @property
    def certificate(self) -> Path:
        """The certificate that the server shows."""
        return self.folder / "server.pem"

    def socket(self, address: tuple[str, int], kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
        """A socket of this world, bound to one of its addresses."""
        with self.namespace.entered():
            made = socket.socket(socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        return made

    def settle(self) -> list[Datagram]:
        """Wait until the server has done all that it was asked over UDP; what was sent meanwhile, by anyone."""
        seen = self._until_mark()
        last = seen
        while any(datagram.source == datagram.target for datagram in last):
            # It sent something to itself, which came after the mark.
            last = self._until_mark()
            seen += last
        return seen

    def _until_mark(self) -> list[Datagram]:
        """An OPTIONS to the server is answered only after all that came before it: there is one process for UDP."""
        name = f"mark-{next(self._marks)}"
        here = (SERVER, MARK_PORT)
        self._mark.sendto(ping(name, "UDP", *here), (SERVER, self.options.port))
        seen: list[Datagram] = []
        while True:
            datagram = self.capture.read(SECONDS, f"the answer to OPTIONS {name}; see {self.log}")
            if datagram.target == here:
                if f"Call-ID: {name}\r\n".encode() in datagram.data:
                    return [*seen, *self.capture.pending()]
            elif datagram.source != here:
                seen.append(datagram)

    def rpc(self, method: str, *parameters: str | int) -> Any:
        """Call a method of Kamailio's JSON-RPC; raises RpcError when it answers with an error."""
        return rpc.call(self._sockets / "kamailio_rpc.sock", method, *parameters)

    def new_log(self) -> list[str]:
        """The lines of the log since the last question."""
        with self.log.open("rb") as log:
            log.seek(self._log_read)
            data = log.read()
        end = data.rfind(b"\n") + 1
        self._log_read += end
        return data[:end].decode(errors="replace").splitlines()

    def rows_after_stop(self, table: str) -> list[str]:
        """End Kamailio in good order, so that it writes what it has in memory only; then the rows of a table."""
        self._process.stop()
        with connect(f"sqlite:///{self.database}") as database:
            columns = [str(row[1]) for row in database.rows(f"PRAGMA table_info({table})")]
            kept = ", ".join(name for name in columns if name not in _VOLATILE)
            rows = database.rows(f"SELECT {kept} FROM {table}")
        return sorted("\n".join(_without_random_tag(str(value)) for value in row) for row in rows)


def ping(name: str, transport: str, host: str, port: int) -> bytes:
    """An OPTIONS to the server's domain, which it answers without a transaction."""
    lines = [
        f"OPTIONS sip:{DOMAIN} SIP/2.0",
        f"Via: SIP/2.0/{transport} {host}:{port};branch=z9hG4bK-{name}",
        f"From: <sip:mark@{host}>;tag={name}",
        f"To: <sip:{DOMAIN}>",
        f"Call-ID: {name}",
        "CSeq: 1 OPTIONS",
        "Max-Forwards: 70",
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()
