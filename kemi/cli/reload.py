"""`kemi reload`: new routes in every process, or the reason why not."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import click

from kemi.cli import rpc
from kemi.cli.check import require_correct
from kemi.cli.nudge import Nudger, listeners
from kemi.cli.workers import NoTableError, Process, entries, processes
from kemi.status import RELOADS, TABLE
from kemi.stubs.exports import versions


class ReloadError(click.ClickException):
    """Not every process runs the new routes. The text says which do not, and why."""


def wake_until(path: Path, done: Callable[[Process], bool], seconds: float) -> list[Process]:
    """Wake workers until each is `done`, `seconds` at most; all processes as they are then."""
    end = time.monotonic() + seconds
    with Nudger(listeners(path)) as nudger:
        while True:
            found = processes(path)
            sleeping = [process for process in found if process.is_worker and not done(process)]
            if not sleeping or time.monotonic() >= end:
                return found
            nudger.wake(sleeping)


def require_checked(path: Path) -> None:
    """Raise ClickException if `kemi check` finds errors in the settings that serve or in their routes."""
    settings = {process.record.settings for process in processes(path) if process.record}
    release = ".".join(rpc.call(path, "core.version").split()[1].split(".")[:2])
    refusal = "nothing was loaded; mend what is above, or load it as it is with --force"
    for file in filter(None, sorted(settings)):
        require_correct(Path(file), refusal, release if release in versions() else None)


def load(path: Path, seconds: float) -> tuple[int, list[Process]]:
    """Have every process load the routes; the number of this load, and the processes after it."""
    number = int(entries(path).get(RELOADS, 0)) + 1
    rpc.call(path, "htable.seti", TABLE, RELOADS, number)
    rpc.call(path, "app_python.reload")

    def has_tried(process: Process) -> bool:
        return process.record is not None and process.record.tried >= number

    return number, wake_until(path, has_tried, seconds)


def summary(path: Path, number: int, found: list[Process], seconds: float) -> str:
    """What came of a load. Raises ReloadError unless every worker runs the new routes."""
    refusals: dict[str, list[str]] = defaultdict(list)
    silent, new, waiting = [], [], []
    for process in found:
        record = process.record
        if record is not None and record.tried >= number:
            if record.error and process.is_worker:
                refusals[record.error].append(f"{process.pid} ({process.does})")
            else:
                new.append(process)
        elif process.is_worker:
            silent.append(f"{process.pid} ({process.does})")
        elif record is not None:
            waiting.append(process)
    workers = [process for process in found if process.is_worker]
    ready = [process for process in new if process.is_worker]
    versions = sorted({process.record.version for process in new if process.record})
    lines = [
        f"{path}: load {number}: {len(ready)} of {len(workers)} workers serve the new routes"
        f" (version {' and '.join(versions) or 'none'})"
    ]
    if len(versions) > 1:
        lines.append("the files changed while they were loaded; reload again")
    if waiting:
        # Failure routes of calls that nobody answers run in the timers.
        lines.append(
            f"{len(waiting)} other processes (timers and the like) load before they next run a route"
        )
    for error, pids in refusals.items():
        lines.append(f"refused, the previous routes go on serving: {error}")
        lines += ["  by all workers"] if len(pids) == len(workers) else [f"  by {pid}" for pid in pids]
    if silent:
        lines.append(f"no message reached these within {seconds:g} s; each loads at its next one:")
        lines += [f"  {pid}" for pid in silent]
    text = "\n".join(lines)
    if refusals or silent or len(versions) > 1:
        raise ReloadError(text)
    return text


@click.command()
@rpc.socket_option
@click.option("--seconds", default=30.0, show_default=True, help="How long to wait for the workers.")
@click.option("--force", is_flag=True, help="Load also what `kemi check` finds wrong.")
def reload(path: Path | None, seconds: float, force: bool) -> None:
    """Load the routes and settings anew, in every process, without a restart.

    Runs `kemi check` on them first. Waits until all workers serve them. A process that cannot load them goes on with
    those it has; then the reason is printed, and the exit code is 1.
    """
    path = path or rpc.default_socket()
    try:
        if not force:
            require_checked(path)
        number, found = load(path, seconds)
    except NoTableError as error:
        rpc.call(path, "app_python.reload")
        click.echo(f"{path}: reload accepted; every process loads at its next message")
        click.echo(str(error), err=True)
        return
    click.echo(summary(path, number, found, seconds))
