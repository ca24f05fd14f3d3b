"""What Kamailio's processes have in memory with these routes, beside the stock file."""

from __future__ import annotations

import pytest

from bench.arena import Arena
from bench.configurations import Setup
from bench.rounds import measure
from bench.server import Server
from bench.stateless import Options, Register

WORKERS = 8
REQUESTS = 1000
# 1.2 to 1.5 MB were measured; what else the machine does moves pages from one side to the other.
MOST_OF_ONE_WORKER = 1_700_000
# 32 to 34 MB were measured, and with the pages of Python's library 29 to 39 MB.
MOST_MADE_ABOVE_STOCK = 36_000_000
MOST_ABOVE_STOCK = 42_000_000


@pytest.mark.parametrize("allocator", ["qm", "tlsf"])
def test_workers_keep_in_common_what_was_loaded_before_the_fork(allocator: str) -> None:
    with (
        Arena() as arena,
        arena.servers(Setup(workers=WORKERS, allocator=allocator), ("stock", "kemi")) as servers,
    ):
        for server in servers.values():
            _serve(server)
        of_one = servers["kemi"].private_bytes()
        made_above_stock = servers["kemi"].made_bytes() - servers["stock"].made_bytes()
        above_stock = servers["kemi"].total_bytes() - servers["stock"].total_bytes()
    assert of_one <= MOST_OF_ONE_WORKER
    assert made_above_stock <= MOST_MADE_ABOVE_STOCK
    assert above_stock <= MOST_ABOVE_STOCK


def _serve(server: Server) -> None:
    for kind in (Register, Options):
        with kind(server) as workload:
            measure(workload, REQUESTS)
