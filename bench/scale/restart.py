"""How long a server does not serve when it is started again, with each way of keeping the location table."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, replace

from bench.arena import MYSQL, SQLITE, Arena
from bench.configurations import Setup
from bench.messages import DOMAIN, request
from bench.server import Server
from bench.stateless import SERVER_URI
from bench.workload import CALLER_ADDRESS, numbers
from kemi.cli.database import connect
from tests.parity.root import MACHINE

DB_MODES = {0: "memory only", 1: "write-through", 2: "write-back", 3: "database only"}
CONTACTS = 50_000
# With SQLite the whole table goes through the private memory of one process.
PRIVATE_MEGABYTES = 1024
_PATIENCE = 60.0
_AGAIN_SECONDS = 0.02


@dataclass
class Restart:
    """With one database and db_mode."""

    database: str
    db_mode: int
    contacts: int
    #: Seconds from the start of the program to its first answer.
    answers: float
    #: Seconds to the first request that reached a phone that had registered before; None: these are forgotten.
    reaches: float | None


def measure(arena: Arena, base: Setup) -> list[Restart]:
    """In memory, with SQLite, and with MySQL where its module is."""
    engines = [SQLITE, MYSQL] if base.root == MACHINE else [SQLITE]
    kinds = [(SQLITE, 0), *((engine, mode) for engine in engines for mode in DB_MODES if mode)]
    setup = replace(base, private_memory=PRIVATE_MEGABYTES)
    return [_restarted(arena, replace(setup, db_mode=mode), engine) for engine, mode in kinds]


def _restarted(arena: Arena, setup: Setup, engine: str) -> Restart:
    keeps = setup.db_mode != 0
    with (
        arena.servers(setup, ("kemi",), database=engine, with_relay=True) as servers,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone,
    ):
        server = servers["kemi"]
        phone.bind((CALLER_ADDRESS, 0))
        phone.connect((server.address, server.port))
        phone.settimeout(_AGAIN_SECONDS)
        if keeps:
            _register(server, phone)
        server.stop()
        if keeps:
            _multiply(server, CONTACTS)
        begin = time.perf_counter()
        server.launch()
        _until(server, phone, "options")
        answers = time.perf_counter() - begin
        reaches = None
        if keeps:
            _until(server, phone, "message")
            reaches = time.perf_counter() - begin
    return Restart(engine, setup.db_mode, CONTACTS if keeps else 0, answers, reaches)


def _register(server: Server, phone: socket.socket) -> None:
    phone.settimeout(_PATIENCE)
    phone.send(request("REGISTER", SERVER_URI, next(numbers), user="phone0", headers="Expires: 3600\r\n"))
    answer = phone.recv(2048)
    phone.settimeout(_AGAIN_SECONDS)
    if not answer.startswith(b"SIP/2.0 200"):
        raise ValueError(f"{server.name}: expected 200 to a REGISTER, found {answer!r}")


def _multiply(server: Server, contacts: int) -> None:
    """Copies of the one row that a phone has left, for other phones."""
    with connect(server.setup.database) as database:
        if database.url.engine == "sqlite":
            columns = [str(row[1]) for row in database.rows("PRAGMA table_info(location)")]
        else:
            columns = [str(row[0]) for row in database.rows("DESCRIBE location")]
        (row,) = database.rows("SELECT * FROM location")
        values = dict(zip(columns, row, strict=True))
        statement = f"INSERT INTO location VALUES ({', '.join('?' * len(columns))})"
        for number in range(1, contacts):
            own = {
                "id": values["id"] + number,
                "ruid": f"{values['ruid']}-{number}",
                "username": f"phone{number}",
            }
            database.execute(statement, *{**values, **own}.values())


def _until(server: Server, phone: socket.socket, what: str) -> None:
    """Ask again and again, as phones would."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if not server.process.is_running:
            raise server.process.failure("ended after a restart")
        number = next(numbers)
        uri = SERVER_URI if what == "options" else f"sip:phone0@{DOMAIN}"
        phone.send(request(what.upper(), uri, number, user="alice", to=f"<{uri}>"))
        try:
            data = phone.recv(2048)
        except TimeoutError:
            continue
        except ConnectionRefusedError:
            time.sleep(_AGAIN_SECONDS)
            continue
        if data.startswith(b"SIP/2.0 200" if what == "options" else b"MESSAGE "):
            return
    raise TimeoutError(
        f"waited {_PATIENCE:g} s for {what.upper()} to get through after a restart; see {server.log}"
    )
