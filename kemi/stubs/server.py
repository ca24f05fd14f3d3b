"""What a running Kamailio exports, asked over its JSON-RPC."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kemi.cli.rpc import call
from kemi.stubs.exports import Export, exports, known_in

# One answer holds them all: the larger it is, the longer Kamailio takes.
TIMEOUT = 10.0


def exports_of(socket: Path) -> list[Export]:
    """Every function of KSR in the Kamailio that listens on that socket, with the modules it has loaded.

    A function that no known version has, of a module of your own say, is taken as the server describes it; one whose
    parameters it cannot describe (numbers of 64 bits) is left out. Raises kemi.cli.rpc.RpcError if it does not
    answer, or has no app_python3.
    """
    answer = call(socket, "app_python.api_list", timeout=TIMEOUT)
    found = (described(method["func"]) for method in answer["methods"])
    return [export for export in found if export is not None]


def described(listed: Mapping[str, str | None]) -> Export | None:
    """The function that an entry of the server's list describes; None if it cannot be told how to call it."""
    family = listed["module"]
    name = f"{family}.{listed['name']}" if family else f"{listed['name']}"
    known = known_in(name)
    if known:
        return exports(known[-1])[name]
    if listed["params"] is None:
        return None
    kinds = tuple(kind for kind in listed["params"].split(", ") if kind != "none")
    names = tuple(f"parameter{number}" for number in range(1, len(kinds) + 1))
    return Export(name, kinds, listed["ret"] or "none", family or "core", names)
