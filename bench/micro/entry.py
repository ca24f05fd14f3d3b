"""What it costs that Kamailio calls a function in Python."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from bench.arena import Arena
from bench.configurations import CONTESTANTS, Configuration, Setup
from bench.messages import DOMAIN, request
from bench.stateless import Options
from bench.workload import numbers

_FOLDER = Path(__file__).parent / "entry_server"
_LOOPS = 20_000
_REPEATS = 7


def nanoseconds(arena: Arena, setup: Setup) -> dict[str, float]:
    """Of one entry, the fastest of several loops; the loop itself is taken off."""
    CONTESTANTS["entry"] = _configuration
    with arena.servers(setup, ("entry",)) as servers, Options(servers["entry"]) as phone:
        found = []
        for _ in range(_REPEATS):
            number = next(numbers)
            answer = phone.ask(request("OPTIONS", f"sip:{DOMAIN}", number, user="bench"))
            phone.check({"200": 1}, Counter([answer[8:11].decode()]))
            empty, entered = json.loads((servers["entry"].folder / "laps.json").read_text())
            found.append((entered - empty) / _LOOPS)
    return {"(an entry into Python)": min(found)}


def _configuration(_setup: Setup, folder: Path) -> Configuration:
    cfg = folder / "entry.cfg"
    cfg.write_text((_FOLDER / "entry.cfg").read_text())
    return Configuration(
        cfg,
        values=(
            ("CHILDREN", 1),
            ("LOOPS", _LOOPS),
            ("KEMI_BOOT", str(_FOLDER / "entry_boot.py")),
            ("BENCH_FILE", str(folder / "laps.json")),
        ),
    )
