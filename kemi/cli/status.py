"""`kemi status`: what runs, who is registered, what is wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kemi.cli import rpc
from kemi.cli.registrations import MOST_CONTACTS, Registrations, registrations
from kemi.cli.workers import NoTableError, Process, entries, processes
from kemi.deadline import DeadlineError
from kemi.relay_control import RelayControl, RelayError
from kemi.status import RELOADS

_FILE_WIDTH = 160  # columns when the output is no terminal
_RELAY_SECONDS = 0.5


@dataclass
class Relay:
    """One media relay, as Kamailio and it itself see it."""

    url: str
    #: Does Kamailio use it?
    enabled: bool
    #: None where it cannot be asked, or does not answer.
    sessions: int | None = None


@dataclass
class Status:
    """All there is to tell of a server."""

    socket: str
    kamailio: str = ""
    #: The version that is installed for this command; "" where kemi is not installed as a package.
    kemi: str = ""
    uptime: int = 0
    #: The number of the last `kemi reload`.
    load: int = 0
    settings: str = ""
    processes: list[dict[str, Any]] = field(default_factory=list)
    registrations: Registrations | None = None
    relays: list[Relay] = field(default_factory=list)
    #: What somebody should look at; empty when all is well.
    problems: list[str] = field(default_factory=list)


def status_of(path: Path) -> Status:
    """Ask the Kamailio at this RPC socket. Raises RpcError without an answer."""
    status = Status(str(path), kamailio=rpc.call(path, "core.version").strip())
    with suppress(PackageNotFoundError):  # a folder that was only copied
        status.kemi = version("kemi")
    status.uptime = int(rpc.call(path, "core.uptime")["uptime"])
    try:
        found = processes(path)
        status.load = int(entries(path).get(RELOADS, 0))
    except NoTableError as error:
        status.problems.append(str(error))
    else:
        status.processes = [_row(process) for process in found]
        status.settings = next((p.record.settings for p in found if p.record and p.record.settings), "")
        status.problems += _problems(found, status.load)
    status.registrations = _optional(lambda: registrations(path))
    status.relays = _optional(lambda: _relays(path)) or []
    status.problems += [f"relay {relay.url} is out of use" for relay in status.relays if not relay.enabled]
    status.problems += [
        f"relay {relay.url} does not answer"
        for relay in status.relays
        if relay.enabled and relay.sessions is None and relay.url.startswith("udp:")
    ]
    return status


T = TypeVar("T")


def _optional(ask: Callable[[], T]) -> T | None:
    """None where the module that would answer is not loaded."""
    try:
        return ask()
    except rpc.RpcError as error:
        if "Method Not Found" in error.message:
            return None
        raise


def _row(process: Process) -> dict[str, Any]:
    record = asdict(process.record) if process.record else {}
    # Those that serve what was loaded before the fork share a record, in which it is the main process's.
    record.pop("rank", None)
    return {
        "pid": process.pid,
        "kind": process.kind,
        "does": process.does,
        "memory": _memory(process.pid),
        **record,
    }


def _memory(pid: int) -> int | None:
    """Bytes that only this process has in memory; None where this cannot be read."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return None


def _problems(found: list[Process], load: int) -> list[str]:
    problems = []
    workers = [process for process in found if process.is_worker]
    for process in found:
        record = process.record
        name = f"{process.kind} {process.pid}"
        if record is None:
            if process.is_worker:
                problems.append(f"{name} has not reported: it may still be starting")
            continue
        if record.error:
            problems.append(
                f"{name} could not load the routes and serves those of load {record.load}: {record.error}"
            )
        elif process.is_worker and record.load < load:
            problems.append(f"{name} serves load {record.load}, not {load}: run `kemi reload`")
        if record.exceptions:
            when = time.strftime("%F %X", time.localtime(record.exception_at))
            problems.append(
                f"{name} caught {record.exceptions} exceptions, the last at {when}: {record.exception}"
            )
    versions = {process.record.version for process in workers if process.record and not process.record.error}
    if len(versions) > 1:
        problems.append(
            f"workers serve different files (versions {', '.join(sorted(versions))}): run `kemi reload`"
        )
    return problems


def _relays(path: Path) -> list[Relay]:
    rows = rpc.call(path, "rtpproxy.list", "all")
    relays = [Relay(row["url"], not int(row["disabled"])) for row in rows if "url" in row]
    for relay in relays:
        kind, _, where = relay.url.partition(":")
        host, _, port = where.rpartition(":")
        if kind == "udp" and host and port.isdigit():
            with suppress(RelayError, DeadlineError, OSError):
                relay.sessions = RelayControl(host, int(port)).totals(_RELAY_SECONDS).active
    return relays


def show(status: Status, console: Console) -> None:
    """Print it for people."""
    head = Table.grid(padding=(0, 2))
    head.add_column(style="bold")
    head.add_column()
    head.add_row("Kamailio", f"{status.kamailio}, up {timedelta(seconds=status.uptime)}")
    head.add_row("kemi", f"{status.kemi or 'not installed as a package'}, load {status.load}")
    head.add_row("Settings", status.settings or "built-in defaults")
    if status.registrations is not None:
        head.add_row("Registered", _registrations(status.registrations))
    for relay in status.relays:
        sessions = "does not answer" if relay.sessions is None else f"{relay.sessions} sessions"
        head.add_row("Relay", f"{relay.url}: {sessions if relay.enabled else 'out of use'}")
    console.print(head)
    columns = ("pid", "process", "load", "version", "loaded at", "exceptions", "memory")
    table = Table(*columns, box=None, header_style="dim")
    for row in status.processes:
        if "load" not in row:
            continue  # runs no routes, or is only starting: then it is among the problems
        loaded = time.strftime("%F %X", time.localtime(row["loaded_at"]))
        memory = "" if row["memory"] is None else f"{row['memory'] / 2**20:.0f} MiB"
        values = (
            row["pid"],
            escape(row["does"]),
            row["load"],
            row["version"],
            loaded,
            row["exceptions"],
            memory,
        )
        table.add_row(*map(str, values), style="red" if row["error"] or row["exceptions"] else None)
    console.print(table)
    for problem in status.problems:
        console.print(f"[red]✗[/] {escape(problem)}", highlight=False)
    if not status.problems:
        console.print("[green]✓[/] all workers serve the routes of the last load")


def _registrations(summary: Registrations) -> str:
    text = f"{summary.users} users, {summary.contacts} contacts"
    if summary.nated is None:
        return f"{text} (more than {MOST_CONTACTS}: see the metrics for those behind NATs)"
    signs = ", ".join(f"{name} {number}" for name, number in summary.signs.items())
    return f"{text}, {summary.nated} behind a NAT" + (f" ({signs})" if signs else "")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Everything, as one JSON object.")
@rpc.socket_option
def status(as_json: bool, path: Path | None) -> None:
    """Show which routes each process runs, exceptions, registrations and the media relay.

    Exit code 1 if something is wrong: a worker serves other routes than the last load's, exceptions were caught
    since the load, a relay is out of use.
    """
    found = status_of(path or rpc.default_socket())
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2))
    else:
        console = Console()
        show(found, console if console.is_terminal else Console(width=_FILE_WIDTH))
    if found.problems:
        raise click.exceptions.Exit(1)
