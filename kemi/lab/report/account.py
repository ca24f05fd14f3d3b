"""The live account of a run, on the console: events as they come, then the call as a ladder of coloured lines."""

import time
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from kemi.lab.event import Event
from kemi.lab.report.rows import ArrowRow, MediaRow, PhaseRow, Row
from kemi.lab.result import Party

LOOK = {
    "started": ("▲", "blue"),
    "proven": ("◆", "magenta"),
    "registered": ("✚", "cyan"),
    "calling": ("→", "bright_blue"),
    "established": ("⇄", "green"),
    "heard": ("♪", "bright_green"),
    "ended": ("■", "yellow"),
    "result": ("✓", "bold green"),
    "problem": ("✗", "bold red"),
}
"""Sign and colour for each kind of event."""

TONES = {
    "request": "bright_blue",
    "progress": "yellow",
    "success": "green",
    "challenge": "magenta",
    "refusal": "red",
}

ROUTINE = {"Via", "Route", "rport"}
"""Changes that every message undergoes: left out first where room is short."""
ADDRESS = r"\d+\.\d+\.\d+\.\d+(:\d+)?"


class Account:
    """Prints one line for each event, with the seconds since the account began. Callable from any thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        sign, style = LOOK.get(event.kind, ("·", "white"))
        line = Text.assemble(
            (f"{time.monotonic() - self._began:6.1f} s  ", "dim"),
            (f"{sign} ", style),
            (f"{event.who:<15} ", f"{style} bold"),
            event.text,
        )
        line.highlight_regex(ADDRESS, "bold cyan")
        self._console.print(line, soft_wrap=True, highlight=False)

    def ladder(self, rows: Iterable[Row], parties: Sequence[Party]) -> None:
        """Draw what the captures of a call hold."""
        pen = Pen(min(max((self._console.width - 13) // 2, 24), 40) | 1)
        if len(parties) == 2:
            self._console.print(pen.lanes(*parties), highlight=False)
        for row in rows:
            self._console.print(pen.draw(row), soft_wrap=True, highlight=False)


class Pen:
    """Draws rows of a ladder in characters."""

    def __init__(self, half: int) -> None:
        """`half` is the (odd) number of columns between a phone and Kamailio; the NAT is in their middle."""
        self._half = half
        self._middle = half // 2

    def lanes(self, caller: Party, callee: Party) -> Text:
        """The names above the ladder."""
        line = Text(" " * (10 + 2 * self._half + 2))
        places = {
            9: (caller.name, "bold"),
            10 + self._middle - 1: ("" if caller.nat == "public" else "NAT", "magenta"),
            10 + self._half - 4: ("Kamailio", "bold"),
            11 + self._half + self._middle - 1: ("" if callee.nat == "public" else "NAT", "magenta"),
            11 + 2 * self._half - len(callee.name) + 1: (callee.name, "bold"),
        }
        for column, (name, style) in places.items():
            line = Text.assemble(line[:column], (name, style), line[column + len(name) :])
        return line

    def draw(self, row: Row) -> Text:
        """One row as one line."""
        if isinstance(row, PhaseRow):
            return Text(f"{'':9}{row.name}", "dim italic")
        return self._media(row) if isinstance(row, MediaRow) else self._arrow(row)

    def _arrow(self, row: ArrowRow) -> Text:
        """``─ INVITE ──────◆──────────▶`` and, in the other half, what Kamailio or the NAT changed."""
        crossing = "✗" if row.arrow.lost else "◆" if row.arrow.translation else "─"
        rest = " " if row.arrow.lost else "─"
        head = " " if row.arrow.lost else "▶" if row.direction == "rightward" else "◀"
        title = f" {row.arrow.message.title[: self._middle - 4]} "
        far = rest * (self._half - self._middle - 2)
        if row.direction == "rightward":
            line = f"─{title}".ljust(self._middle, "─") + crossing + far + head
        else:
            line = head + far + crossing + f"{title}─".rjust(self._middle, "─")
        drawn, free = (line, TONES[row.tone]), (f"{self._beside(row):^{self._half}}", "dim")
        left, right = (drawn, free) if row.left == 0 else (free, drawn)
        return Text.assemble((f"{row.seconds:7.3f}  ", "dim"), "│", left, "│", right, "│")

    def _beside(self, row: ArrowRow) -> str:
        """The longest account of what changed that fits."""
        accounts = [", ".join(row.labels), ", ".join(label for label in row.labels if label not in ROUTINE)]
        if row.arrow.translation and not row.labels:
            accounts = [f"{row.inner} ⇒ {row.outer}", f"⇒ {row.outer}"]
        room = self._half - 2
        return next((told for told in accounts if len(told) <= room), f"{accounts[-1][: room - 1]}…")

    def _media(self, row: MediaRow) -> Text:
        counts = [str(hop.packets) if hop else "none" for hop in (row.segments[0], row.segments[-1])]
        ports = " ".join(f":{port}" for port in row.relay_ports if port) or "not used"
        way = "▸" if row.direction == "rightward" else "◂"
        title = f" {row.speaker.name}'s voice: {counts[0]} {way} relay {ports} {way} {counts[1]} packets "
        line = title.center(2 * self._half, "═")
        line = f"{line}▶" if row.direction == "rightward" else f"◀{line}"
        return Text.assemble((f"{row.seconds:7.3f}  ", "dim"), "│", (line, "bold green"), "│")
