"""Kamailio's processes, with what each tells of the routes it runs (:mod:`kemi.status`)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kemi.cli import rpc
from kemi.status import START, STARTED, TABLE, ProcessRecord

_KINDS = (
    ("udp receiver", "UDP worker"),
    ("tcp receiver", "TCP worker"),
    ("tcp main", "TCP main"),
    ("main process", "main"),
    ("slow timer", "timer"),
    ("timer", "timer"),
    ("secondary timer", "timer"),
)


class NoTableError(Exception):
    """This Kamailio's configuration has no table in which its processes could report."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}: expected table '{TABLE}' in kamailio.cfg, found none, so its processes cannot report; add:\n"
            f"  #!define KEMI_STATUS\n"
            f'  loadmodule "htable.so"\n'
            f'  modparam("htable", "htable", "{TABLE}=>size=6;")'
        )


@dataclass(frozen=True)
class Process:
    """One of Kamailio's processes."""

    pid: int
    #: As Kamailio describes it: "udp receiver child=0 sock=127.0.0.1:5060".
    does: str
    #: What it tells of itself; None before it was ready, or if it runs no routes.
    record: ProcessRecord | None

    @property
    def kind(self) -> str:
        """What it does in two words."""
        lowered = self.does.lower()
        return next((kind for start, kind in _KINDS if lowered.startswith(start)), "other")

    @property
    def is_worker(self) -> bool:
        """Does it receive messages? The others run routes only when a timer or a module calls one."""
        return self.kind in ("UDP worker", "TCP worker")


def processes(path: Path) -> list[Process]:
    """All processes of the Kamailio at this RPC socket, in the order in which it started them.

    Raises RpcError without an answer, NoTableError if they cannot report.
    """
    found = entries(path)
    start = _record(found.get(START), None)
    return [
        Process(row["PID"], row["DSC"], _record(found.get(str(row["PID"])), start))
        for row in rpc.call(path, "core.psx")
    ]


def _record(entry: str | int | None, start: ProcessRecord | None) -> ProcessRecord | None:
    """What an entry in the table says; `start` is what was loaded before Kamailio forked."""
    if entry == STARTED:
        return start
    with suppress(ValueError):
        return ProcessRecord.from_text(str(entry))
    return None


def entries(path: Path, table: str = TABLE) -> dict[str, Any]:
    """What a table in shared memory holds. Raises NoTableError without the table, RpcError without an answer."""
    try:
        slots = rpc.call(path, "htable.dump", table)
    except rpc.RpcError as error:
        if "no such htable" in error.message.lower() or "method not found" in error.message.lower():
            raise NoTableError(path) from None
        raise
    return {entry["name"]: entry["value"] for slot in slots or [] for entry in slot["slot"]}
