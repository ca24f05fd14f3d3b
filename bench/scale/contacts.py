"""More registered phones: memory per contact, what a refresh and a lookup cost, the sweep of keepalives."""

from __future__ import annotations

import select
import socket
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from bench.arena import Arena
from bench.calls import TwoParties
from bench.configurations import Setup
from bench.messages import DOMAIN, request, response
from bench.rounds import measure as measure_round
from bench.server import Server
from bench.stateless import SERVER_URI
from bench.workload import Requests, Workload, numbers
from kemi.deadline import wait_until

CONTACTS = (1_000, 10_000, 50_000, 200_000)
_ROUNDS = 3
_UNITS = 2000
_MANY = 10_000
_SWEEP_SECONDS = 4
_TRANSACTION_SECONDS = 30.0
_EXPIRES = "Expires: 3600\r\n"


@dataclass
class Contacts:
    """A location table of one size, in one configuration."""

    server: str
    contacts: int
    #: Bytes of shared memory for each.
    memory: float
    #: CPU microseconds of a REGISTER that refreshes one, and of a MESSAGE to one with its 200.
    refresh: float
    lookup: float
    #: CPU microseconds of a keepalive; None where there are too few to tell them from the idle server's own work.
    keepalive: float | None


class Refresh(Requests):
    """Phones somewhere in the table refresh their registrations."""

    title = "REGISTER in a large table"
    contacts = 0

    def message(self, number: int) -> bytes:
        # Neighbours in the table would profit from each other.
        who = number * 7919 % self.contacts
        return request("REGISTER", SERVER_URI, number, user=f"phone{who}", headers=_EXPIRES)


class Fill(Refresh):
    """Phones register, one after the other."""

    title = "the first REGISTER of each phone"
    first = 0

    def message(self, number: int) -> bytes:
        self.first += 1
        return request("REGISTER", SERVER_URI, number, user=f"phone{self.first - 1}", headers=_EXPIRES)


class Lookup(TwoParties):
    """A MESSAGE to a phone somewhere in the table, which is where the callee's socket is, and its 200."""

    title = "MESSAGE in a large table"
    contacts = 0

    def begin(self) -> None:
        number = next(numbers)
        uri = f"sip:phone{number * 7919 % self.contacts}@{DOMAIN}"
        self.phone.send(request("MESSAGE", uri, number, user="alice", to=f"<{uri}>"))

    def at_caller(self, data: bytes) -> None:
        self.seen[data[8:11].decode()] += 1
        self.done += 1

    def at_callee(self, data: bytes) -> None:
        self.seen[data[: data.index(b" ")].decode()] += 1
        self.callee.send(response("200 OK", data))

    def expected(self) -> dict[str, int]:
        return {"MESSAGE": self.units, "200": self.units}


def measure(arena: Arena, base: Setup, sizes: Iterable[int] = CONTACTS) -> list[Contacts]:
    """This library and the stock file, in memory only; the table grows from size to size."""
    found = []
    for name in ("stock", "kemi"):
        with arena.servers(replace(base, natping=_SWEEP_SECONDS), (name,)) as servers:
            server = servers[name]
            server.rpc("nathelper.enable_ping", 0)
            with Lookup(server) as lookup, Fill(server) as fill, Refresh(server) as refresh:
                # All phones are at the callee's socket: what is looked up arrives there, and so do keepalives.
                for workload in (fill, refresh):
                    workload.phone.close()
                    workload.phone = lookup.callee
                empty = used(server)
                for size in sizes:
                    fill.prepare(size - fill.first)
                    fill.play()
                    wait_until(
                        "transactions to end", partial(_has_no_transactions, server), _TRANSACTION_SECONDS
                    )
                    memory = (used(server) - empty) / size
                    refresh.contacts = lookup.contacts = size
                    costs = _cost(refresh), _cost(lookup)
                    ping = _keepalive(server, lookup.callee) if size >= _MANY else None
                    found.append(Contacts(name, size, memory, *costs, ping))
    return found


def used(server: Server) -> int:
    """Bytes of shared memory in use."""
    return int(server.rpc("core.shmmem")["real_used"])


def _has_no_transactions(server: Server) -> bool:
    counted = server.rpc("tm.stats")
    return int(counted["created"]) == int(counted["freed"])


def _cost(workload: Workload) -> float:
    rounds = [measure_round(workload, _UNITS).cpu for _ in range(_ROUNDS)]
    return statistics.median(rounds) * 1e6


def _keepalive(server: Server, phones: socket.socket) -> float:
    """CPU microseconds of a keepalive, of a whole sweep at least."""
    idle = _spent(server, phones)[0]
    server.rpc("nathelper.enable_ping", 1)
    busy, pings = _spent(server, phones)
    server.rpc("nathelper.enable_ping", 0)
    # What is still on its way must not be taken for an answer later.
    _spent(server, phones, seconds=1)
    if not pings:
        raise TimeoutError(
            f"{server.name}: waited {_SWEEP_SECONDS} s for keepalives, none came; see {server.log}"
        )
    return (busy - idle) / pings * 1e6


def _spent(server: Server, phones: socket.socket, seconds: float = _SWEEP_SECONDS) -> tuple[float, int]:
    """CPU seconds of the server during some seconds, and how many datagrams came to the phones meanwhile."""
    before, end, came = server.cpu_seconds(), time.monotonic() + seconds, 0
    while (left := end - time.monotonic()) > 0:
        if select.select([phones], [], [], left)[0]:
            phones.recv(2048)
            came += 1
    return server.cpu_seconds() - before, came
