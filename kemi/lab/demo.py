"""The demonstration: one call told as it happens, then every pair of NATs, then a page to look at."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from kemi.deadline import DeadlineError
from kemi.lab import scenario
from kemi.lab.errors import LabError
from kemi.lab.event import Event
from kemi.lab.nat import PRESETS, SYMMETRIC
from kemi.lab.report import page
from kemi.lab.report.account import Account
from kemi.lab.report.grid import Cell, Grid, markdown, replace_block
from kemi.lab.result import CallResult
from kemi.relay_control import RelayError

RESULTS_FILE = "grid.json"
NATS = tuple(nat.name for nat in PRESETS)


def run(run_dir: Path, console: Console, seconds: float = 5, grid: bool = True) -> list[CallResult]:
    """Call once with a live account, then (with `grid`) through every pair of NATs; write page and results.

    `seconds` is how long each party has to hear the other. Returns the calls of the page: those of the grid, or the
    one call. Raises LabError when the laboratory cannot be built, DeadlineError when it does not come to rest.
    """
    account = Account(console)
    console.rule(f"[bold]alice calls bob[/], both behind [magenta]{SYMMETRIC.name}[/] NATs", align="left")
    first = scenario.nat_call(run_dir / "call", SYMMETRIC, SYMMETRIC, seconds=seconds, on_event=account)
    view = page.view(first)
    console.print()
    console.rule("what the captures show", align="left", style="dim")
    account.ladder(view.rows, first.parties)
    if view.problem:
        account(Event("problem", first.caller, view.problem))
    results = [first]
    if grid:
        console.print()
        console.rule("[bold]every NAT against every NAT[/]", align="left")
        progress = GridProgress(NATS)
        calls = scenario.grid(run_dir / "grid", PRESETS, seconds=seconds, on_event=progress.note)
        results = Grid.of(progress.show(calls, console), NATS).calls
    run_dir.mkdir(parents=True, exist_ok=True)
    save(results, run_dir / RESULTS_FILE)
    with console.status("drawing the page from the captures"):
        written = page.write(run_dir, results, NATS if grid else ())
    good = sum(result.ok for result in results)
    console.print()
    told = Text(f"{good} of {len(results)}", "bold green" if good == len(results) else "bold red")
    told = Text.assemble(told, " calls: both heard each other. Look at ")
    told.append(str(written), f"bold cyan link {written.resolve().as_uri()}")
    console.print(told, soft_wrap=True)
    return results


class GridProgress:
    """The grid filling up, with a progress bar and what happened last."""

    def __init__(self, nats: Sequence[str]) -> None:
        self._nats = tuple(nats)
        self._results: list[CallResult] = []
        self._last = ""
        self._bar = Progress(
            TextColumn("[dim]calls"), BarColumn(bar_width=40), MofNCompleteColumn(), TimeElapsedColumn()
        )
        self._task = self._bar.add_task("calls", total=len(self._nats) ** 2)

    def note(self, event: Event) -> None:
        """Remember what happened last; callable from any thread."""
        self._last = f"{event.who}: {event.text}"

    def show(self, calls: Iterable[CallResult], console: Console) -> list[CallResult]:
        """Take the calls as they complete and show the grid; returns them."""
        with Live(self, console=console, refresh_per_second=8, transient=False):
            for result in calls:
                self._results.append(result)
                self._bar.advance(self._task)
                if not console.is_terminal:
                    console.print(_sentence(result), highlight=False, soft_wrap=True)
            self._last = ""
        for result in self._results:
            if not result.ok:
                problem = Text.assemble(("✗ ", "bold red"), f"{_sentence(result)}: {result.problem}")
                console.print(problem, soft_wrap=True)
        return self._results

    def __rich__(self) -> RenderableType:
        table = Table(box=None, padding=(0, 2))
        table.add_column("caller behind ↓  callee behind →", justify="right", style="bold")
        for nat in self._nats:
            table.add_column(nat, justify="center")
        for row in Grid.of(self._results, self._nats).rows:
            table.add_row(row[0].caller_nat, *(_square(cell) for cell in row))
        last = Text(self._last, "dim", no_wrap=True, overflow="ellipsis")
        return Group(table, Text(), self._bar, last)


def _square(cell: Cell) -> Text:
    if not cell.results:
        return Text("·", "dim")
    return (
        Text(f"✓ {cell.seconds:.1f} s", "green") if cell.ok else Text(f"✗ {cell.seconds:.1f} s", "bold red")
    )


def _sentence(result: CallResult) -> str:
    cell = Cell(result.caller_nat, result.callee_nat, (result,))
    verdict = "ok" if result.ok else "failed"
    return f"{result.caller_nat} calls {result.callee_nat}: {verdict}, {cell.seconds:.1f} s heard"


def save(results: Iterable[CallResult], path: Path) -> None:
    """Write results as one JSON list."""
    path.write_text(
        json.dumps([json.loads(result.to_json()) for result in results], indent=2), encoding="utf-8"
    )


def load(path: Path) -> list[CallResult]:
    """The results that `save` wrote.

    Raises ValueError when the file does not hold results.
    """
    return [CallResult.from_json(json.dumps(plain)) for plain in json.loads(path.read_text(encoding="utf-8"))]


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs/lab"),
    show_default=True,
    help="Folder for page, captures and logs.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1, max=600),
    default=5,
    show_default=True,
    help="How long each party has to hear the other.",
)
@click.option("--no-grid", is_flag=True, help="Only the one call with its live account.")
@click.option(
    "--readme",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Put the grid into this file, between its grid:begin and grid:end marks.",
)
def lab(out: Path, seconds: float, no_grid: bool, readme: Path | None) -> None:
    """Call across every pair of NATs with real phones, and draw a page of what happened. Needs root."""
    if readme and no_grid:
        raise click.UsageError("--readme writes the grid, --no-grid leaves it out: give one of the two")
    text = readme.read_text(encoding="utf-8") if readme else ""
    try:
        if readme:
            replace_block(text, "")
        results = run(out, Console(), seconds, grid=not no_grid)
        if readme:
            readme.write_text(replace_block(text, markdown(Grid.of(results, NATS))), encoding="utf-8")
    except ValueError as error:
        raise click.ClickException(f"{readme}: {error}") from error
    except (LabError, RelayError, DeadlineError) as error:
        raise click.ClickException("\n".join([str(error), *getattr(error, "__notes__", [])])) from error
    if not all(result.ok for result in results):
        raise click.exceptions.Exit(1)
