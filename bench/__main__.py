"""`make bench`: CPU time per request of these routes against Kamailio's stock configuration, on this machine.

Both run here at the same time, one UDP worker each, same defines, same memory manager; rounds alternate between them,
and what is printed is the ratio, round by round. Times of different machines or different runs say little.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.load import Load, flood
from kemi.testing.server import KamailioServer

STOCK = Path("/etc/kamailio/kamailio.cfg")
REQUESTS = 4000


def cpu_seconds(server: KamailioServer) -> float:
    """CPU time of all processes of a server so far; nanoseconds of the scheduler, not clock ticks."""
    pids = [worker.pid for worker in server.workers()]
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def servers(folder: Path, profile: str) -> dict[str, KamailioServer]:
    """The stock configuration and ours, ready to start."""
    text = STOCK.read_text(encoding="utf-8")
    # Its number of workers and its log level cannot be set from outside.
    text = re.sub(r"^children=.*$", "children=1", text, flags=re.MULTILINE)
    stock = folder / "stock.cfg"
    stock.write_text(text, encoding="utf-8")
    settings = folder / "kemi.yaml"
    settings.write_text(f"profile: {profile}\n", encoding="utf-8")
    defines = ("WITH_NAT", "WITH_ANTIFLOOD")
    return {
        "stock": KamailioServer(folder / "stock", cfg=stock, defines=defines),
        "kemi": KamailioServer(folder / "kemi", settings=settings, defines=defines, values={"CHILDREN": 1}),
    }


def measure(server: KamailioServer, load: Load) -> float:
    """CPU microseconds per request."""
    before = cpu_seconds(server)
    flood(server.address, server.port, load, REQUESTS)
    return (cpu_seconds(server) - before) / REQUESTS * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="rounds per workload (9)")
    parser.add_argument(
        "--profile", choices=("default", "stock"), default="default", help="settings of these routes"
    )
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="kemi-bench-") as name:
        both = servers(Path(name), arguments.profile)
        os.sched_setaffinity(0, cores[-1:])  # inherited: the servers share a core, the load has another one
        with both["stock"], both["kemi"]:
            os.sched_setaffinity(0, cores[:1])
            say = sys.stdout.write
            say(
                f"{'workload':<26}{'stock':>10}{'kemi':>10}{'ratio':>8}   spread over {arguments.rounds} rounds\n"
            )
            for load in Load:
                report(load, both, arguments.rounds, say)
    return 0


def report(load: Load, both: dict[str, KamailioServer], rounds: int, say: Callable[[str], object]) -> None:
    """One line: median CPU time of each, and the ratio with its spread."""
    for server in both.values():
        measure(server, load)
    times = [{name: measure(server, load) for name, server in both.items()} for _ in range(rounds)]
    ratios = sorted(one["kemi"] / one["stock"] for one in times)
    stock, ours = (statistics.median(one[name] for one in times) for name in ("stock", "kemi"))
    say(
        f"{load.value:<26}{stock:>7.1f} us{ours:>7.1f} us{statistics.median(ratios):>8.2f}"
        f"   {ratios[0]:.2f} - {ratios[-1]:.2f}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
