"""The page of a run: one HTML file that needs nothing else, drawn from results and captures."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from kemi.lab.nat import PRESETS
from kemi.lab.report.grid import Grid
from kemi.lab.report.ladder import Ladder, build
from kemi.lab.report.media import Media, voices
from kemi.lab.report.rows import Row, rows
from kemi.lab.report.sound import HIGHEST_HZ, picture
from kemi.lab.report.wire import CaptureError, read
from kemi.lab.result import CallResult, Heard, Party

PAGE_FILE = "index.html"


@dataclass(frozen=True)
class CallView:
    """A call as the page shows it."""

    result: CallResult
    media: tuple[Media, ...]
    rows: tuple[Row, ...]
    problem: str
    """The call's problem, or why its captures cannot be shown."""

    @property
    def anchor(self) -> str:
        """Name of its place on the page."""
        words = self.result.caller, self.result.caller_nat, self.result.callee, self.result.callee_nat
        return "-".join(words).replace(" ", "-")

    @property
    def caller(self) -> Party:
        """The party that calls; without addresses when the call was never set up."""
        return next(iter(self.result.parties), Party(self.result.caller, self.result.caller_nat, "", ""))

    @property
    def callee(self) -> Party:
        """The party that is called; without addresses when the call was never set up."""
        return next(iter(self.result.parties[1:]), Party(self.result.callee, self.result.callee_nat, "", ""))

    @property
    def ended_by(self) -> str:
        """Name of the party that hung up."""
        return {"caller": self.caller.name, "callee": self.callee.name}.get(self.result.ended_by, "nobody")

    @property
    def longest(self) -> float:
        """Seconds at the end of the scale of what was heard."""
        return max([self.result.seconds, *(heard.seconds for heard in self.result.heard), 1.0])

    def voice_of(self, heard: Heard) -> Media | None:
        """The RTP of the party that was heard."""
        names = [party.name for party in self.result.parties]
        return next((media for media in self.media if names[media.start // 4] == heard.speaker), None)

    def picture_of(self, heard: Heard) -> str:
        """A picture of the sound that reached the listener; empty when no capture holds it."""
        voice = self.voice_of(heard)
        arrived = voice and voice.hops[-1]
        return picture(arrived) if arrived else ""


def _read(result: CallResult) -> tuple[Ladder, tuple[Media, ...]]:
    """The ladder of a call, and its voices. Raises CaptureError when a capture is missing or cannot be read."""
    if len(result.parties) != 2:
        raise CaptureError(f"expected caller and callee as parties of the call, found {len(result.parties)}")
    names = "caller", "server", "callee"
    if missing := [name for name in names if name not in result.captures]:
        raise CaptureError(f"expected captures of {', '.join(names)}, found none of {', '.join(missing)}")
    traffic = [read(result.captures[name]) for name in names]
    ladder = build(*result.parties, *(one.packets for one in traffic))
    return ladder, voices(*result.parties, *(one.streams for one in traffic))


def write(run_dir: Path, results: Sequence[CallResult], nats: Sequence[str] = ()) -> Path:
    """Write `index.html` into the run folder and return its path.

    `nats` gives the order of the grid. A call whose captures cannot be read is shown with the reason.
    """
    grid = Grid.of(results, nats)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # most of the work is tshark's
        calls = list(pool.map(view, grid.calls))
    page = run_dir / PAGE_FILE
    page.write_text(render(calls, grid), encoding="utf-8")
    return page


def render(calls: Sequence[CallView], grid: Grid, when: datetime | None = None) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("kemi.lab.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    anchors = {id(call.result): call.anchor for call in calls}
    return environment.get_template("index.html.j2").render(
        calls=calls,
        grid=grid,
        anchor=lambda cell: anchors[id(cell.results[0])],
        featured=next((call for call in calls if not call.result.ok), calls[-1] if calls else None),
        highest_hz=HIGHEST_HZ,
        kinds=[nat for nat in PRESETS if nat.name in grid.nats],
        good=sum(call.result.ok for call in calls),
        when=when or datetime.now().astimezone(),
    )


def view(result: CallResult) -> CallView:
    """One call, as the page shows it."""
    ladder, media, problem = Ladder(()), tuple[Media, ...](), result.problem
    try:
        ladder, media = _read(result)
    except CaptureError as error:
        problem = f"{problem}\n{error}".strip()
    return CallView(result, media, tuple(rows(ladder, media, result.parties)), problem)
