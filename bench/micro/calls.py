"""How many KSR calls a request makes, rule by rule, and what each call costs."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.arena import Arena
from bench.calls import Call, callee, uri_of
from bench.configurations import Configuration, Setup, kemi
from bench.messages import DOMAIN, SDP, request
from bench.micro.sources import called_in_source
from bench.server import Server
from bench.workload import Workload, numbers
from bench.workloads import WORKLOADS

BOOT = Path(__file__).parent / "boot" / "metered_boot.py"
_UNITS = 64
_CALLS = "call"
# What can be called again and again on the same message and changes nothing, or the same each time.
_REPEATABLE = re.compile(
    r"is_|is(b?flag|dsturi)|set(b?flag)|kx\.|pv\.(get|is_null)|siputils\.|nathelper\.nat_uac_test|hdr\.gete?$"
    r"|htable\.sht_(get|is_null|match)|tmx\.t_precheck|tm\.t_is_set|textops\.has|rr\.check_route_param|force_rport"
    r"|set_(reply|forward)_no_connect|sanity\.|corex\.has|pike\."
)


@dataclass
class Found:
    """Of one workload, per unit."""

    total: float
    #: By rule, or by step of the handler where no rule asks, then by function.
    rules: dict[str, dict[str, float]]


def metered(setup: Setup, folder: Path) -> Configuration:
    """This library with a meter on the KSR object."""
    made = kemi(setup, folder)
    values = tuple((name, value) for name, value in made.values if name != "KEMI_BOOT")
    return replace(made, values=(*values, ("KEMI_BOOT", str(BOOT)), ("BENCH_SOURCE", str(setup.source))))


@dataclass
class Counted:
    """Of all workloads."""

    calls: dict[str, Found]
    #: Nanoseconds by function, called in a loop on an INVITE with SDP from behind a NAT.
    looped: dict[str, float]
    #: Nanoseconds by function, of those that change something: the median of calls as they came. What a function calls
    #: back, as t_relay does, is within.
    passing: dict[str, float]
    #: Functions that the library names and no workload has called.
    unseen: list[str]


def count(arena: Arena, base: Setup) -> Counted:
    """Play each workload once under the meter."""
    found: dict[str, Found] = {}
    once: dict[str, float] = {}
    arguments: dict[str, list[Any]] = {}
    looped: dict[str, float] = {}
    # Calls last: their server is the one where functions can be called in a loop.
    for name, entry in sorted(WORKLOADS.items(), key=lambda pair: pair[0] == _CALLS):
        setup = replace(base, defines=entry.place.defines)
        with (
            arena.servers(
                setup, ("metered",), database=entry.place.database, with_relay=entry.place.relay
            ) as servers,
            entry.kind(servers["metered"]) as workload,
        ):
            written = _metered_run(workload, servers["metered"])
            rules = {
                rule: {function: calls / workload.units for function, calls in functions.items()}
                for rule, functions in written["rules"].items()
            }
            found[name] = Found(sum(sum(calls.values()) for calls in rules.values()), rules)
            once = {**written["nanoseconds"], **once}
            arguments.update(written["arguments"])
            if name == _CALLS:
                looped = _loops(workload, servers["metered"], arguments)
    seen = {function for one in found.values() for calls in one.rules.values() for function in calls}
    passing = {name: cost for name, cost in once.items() if name not in looped}
    return Counted(found, looped, passing, sorted(called_in_source(base.source) - seen))


def _metered_run(workload: Workload, server: Server) -> dict[str, Any]:
    workload.prepare(_UNITS)
    file = server.folder / "metered.json"
    _command(workload, "start")
    workload.play()
    _command(workload, f"stop {file}")
    written: dict[str, Any] = json.loads(file.read_text())
    return written


def _loops(workload: Workload, server: Server, arguments: dict[str, list[Any]]) -> dict[str, float]:
    wanted = [(name, given) for name, given in arguments.items() if _REPEATABLE.match(name)]
    file = server.folder / "wanted.json"
    file.write_text(json.dumps(wanted))
    _command(workload, f"time {file}")
    timed: dict[str, float] = json.loads(Path(f"{file}.timed").read_text())
    return timed


def _command(workload: Workload, command: str) -> None:
    number = next(numbers)
    uri = uri_of(callee(0)) if isinstance(workload, Call) else f"sip:{DOMAIN}"
    headers = f"X-Bench: {command}\r\n"
    answer = workload.ask(
        request("INVITE", uri, number, user="alice", to=f"<{uri}>", headers=headers, body=SDP)
    )
    workload.check({"200": 1}, Counter([answer[8:11].decode()]))
