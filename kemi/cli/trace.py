"""`kemi trace`: what the rules do to single messages, as a tree."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from kemi.cli import rpc
from kemi.cli.reload import wake_until
from kemi.cli.workers import NoTableError, Process, entries
from kemi.status import TABLE, TRACE
from kemi.trace import NUDGE, Event, Step, Wish

_READY_SECONDS = 30.0
_LINGER_SECONDS = (
    2.0  # wait for replies after the last request; a call that takes longer is traced by Call-ID
)
_TICK_SECONDS = 0.2
_MOST_EARLY = 100
_LARGEST_EVENT = 1 << 18
_FILE_WIDTH = 160  # columns when the output is no terminal


class TraceError(click.ClickException):
    """No process can be traced, or none was. The text says why."""


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """A datagram socket that Kamailio can reach, which may have given up root's rights, and its own /tmp."""
    beside = path.parent if os.access(path.parent, os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="kemi-trace-", dir=beside) as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram,
    ):
        datagram.bind(os.path.join(folder, "events"))
        os.chmod(folder, 0o711)
        os.chmod(os.path.join(folder, "events"), 0o622)
        yield datagram


@contextmanager
def tracing(path: Path, *, seconds: float, requests: int, call_id: str) -> Iterator[Iterator[Event | None]]:
    """The events of all workers, in the order in which they arrive, for `seconds` at most.

    Raises TraceError when a worker cannot record. Leaving the block ends the trace.
    """
    with _listening(path) as datagram:
        name = datagram.getsockname()
        until = time.time() + _READY_SECONDS + seconds
        wish = Wish(secrets.token_hex(4), name, until, call_id, requests)
        if (
            TRACE in entries(path)
            and (other := Wish.from_text(str(entries(path)[TRACE])))
            and not other.is_over
        ):
            raise TraceError(
                f"{path}: another trace runs until {time.strftime('%X', time.localtime(other.until))}"
            )
        rpc.call(path, "htable.sets", TABLE, TRACE, wish.to_text())
        try:
            rpc.call(path, "app_python.reload")
            _require_ready(path, wish)
            yield _events(datagram, wish.id, time.monotonic() + seconds)
        finally:
            rpc.call(path, "htable.delete", TABLE, TRACE)


def _require_ready(path: Path, wish: Wish) -> None:
    def has_begun(process: Process) -> bool:
        return process.record is not None and process.record.trace == wish.id

    found = wake_until(path, has_begun, _READY_SECONDS)
    for process in found:
        if process.record is not None and process.record.trace == wish.id and process.record.trace_error:
            raise TraceError(f"{path}: process {process.pid} cannot trace: {process.record.trace_error}")
    sleeping = [str(process.pid) for process in found if process.is_worker and not has_begun(process)]
    if sleeping:
        click.echo(f"not traced, because no message reached them: processes {', '.join(sleeping)}", err=True)


def _events(datagram: socket.socket, wish: str, end: float) -> Iterator[Event | None]:
    """Events until the end, and None now and then when nothing comes."""
    while (left := end - time.monotonic()) > 0:
        datagram.settimeout(min(left, _TICK_SECONDS))
        try:
            event = Event.from_text(datagram.recv(_LARGEST_EVENT).decode())
        except TimeoutError:
            yield None
            continue
        if event.wish == wish and not event.call_id.startswith(NUDGE):
            yield event


def wanted(
    events: Iterator[Event | None], requests: int, call_id: str, linger: float = _LINGER_SECONDS
) -> Iterator[Event]:
    """Those of one call; or of the first so many requests, with what follows them within `linger` seconds."""
    calls: set[str] = set()
    # The callee may have replied before the request's own event was sent, which is when its callback ends.
    early: deque[Event] = deque(maxlen=_MOST_EARLY)
    left = requests
    last = time.monotonic()
    for event in events:
        if event is not None:
            is_request = event.step.what == "ksr_request_route"
            if call_id or event.call_id in calls or (is_request and left > 0):
                calls.add(event.call_id)
                left -= is_request
                last = time.monotonic()
                yield event
                yield from [before for before in early if before.call_id == event.call_id]
                early = deque((other for other in early if other.call_id != event.call_id), _MOST_EARLY)
            else:
                early.append(event)
        if not call_id and left <= 0 and time.monotonic() - last > linger:
            return


def tree(event: Event) -> Tree:
    """One callback as a tree: rules, in them the calls of KSR, each with what it gave and how long it took."""
    clock = time.strftime("%H:%M:%S", time.localtime(event.at)) + f".{int(event.at * 1000) % 1000:03}"
    title = f"[bold]{escape(event.line)}[/]  {escape(event.call_id)}  [dim]{clock} process {event.pid}"
    if event.lost:
        title += f", {event.lost} events lost before"
    root = Tree(f"{title}[/]", highlight=False)
    _add(root, event.step)
    return root


def _add(parent: Tree, step: Step) -> None:
    name = f"[dim]{escape(step.what)}[/]" if step.what.startswith("KSR.") else f"[cyan]{escape(step.what)}[/]"
    gave = f" → {escape(step.gave)}" if step.gave else ""
    if step.gave.startswith("raised "):
        gave = f" [red]{escape(step.gave)}[/]"
    node = parent.add(f"{name}{gave}  [dim]{_duration(step.took)}[/]", highlight=False)
    for inner in step.inside:
        _add(node, inner)


def _duration(nanoseconds: int) -> str:
    return f"{nanoseconds / 1000:.1f} µs" if nanoseconds < 1_000_000 else f"{nanoseconds / 1e6:.1f} ms"


@click.command()
@click.option("--call-id", default="", help="Trace this call alone, until --seconds are over.")
@click.option(
    "-n", "requests", default=1, show_default=True, type=click.IntRange(1, 100), help="Requests to trace."
)
@click.option(
    "--seconds", default=60.0, show_default=True, type=click.FloatRange(0.1, 3600), help="End after so long."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each callback.")
@rpc.socket_option
def trace(call_id: str, requests: int, seconds: float, as_json: bool, path: Path | None) -> None:
    """Show which rules run for the next requests, or for one call, and what each call of KSR gives.

    The rules, settings and calls are those that serve; no message is delayed by more than the recording itself
    takes, and none once the trace is over. Exit code 1 if there was nothing to show.
    """
    path = path or rpc.default_socket()
    console = Console(width=None if sys.stdout.isatty() else _FILE_WIDTH)
    shown = 0
    try:
        with tracing(path, seconds=seconds, requests=requests, call_id=call_id) as events:
            click.echo(
                f"tracing {call_id or f'the next {requests} requests'}, for {seconds:g} s at most", err=True
            )
            for event in wanted(events, requests, call_id):
                shown += 1
                if as_json:
                    click.echo(event.to_text())
                else:
                    console.print(tree(event))
    except NoTableError as error:
        raise TraceError(str(error)) from None
    except KeyboardInterrupt:
        pass
    if not shown:
        raise TraceError(f"{path}: no such message within {seconds:g} s")
