"""The grid of NATs x NATs: every kind of caller against every kind of callee."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kemi.lab.result import CallResult

BEGIN = "<!-- grid:begin -->"
END = "<!-- grid:end -->"


@dataclass(frozen=True)
class Cell:
    """One pair of NATs."""

    caller_nat: str
    callee_nat: str
    results: tuple[CallResult, ...]
    """Every call between the two; usually one."""

    @property
    def ok(self) -> bool:
        """True when there was a call and every one was right."""
        return bool(self.results) and all(result.ok for result in self.results)

    @property
    def seconds(self) -> float:
        """What the worse-off party heard of the other, in seconds; 0 when nobody called."""
        return min((heard.seconds for result in self.results for heard in result.heard), default=0.0)

    @property
    def problem(self) -> str:
        """The first problem, or that there was no call; empty when all is well."""
        if not self.results:
            return "no call"
        return next((result.problem or "failed" for result in self.results if not result.ok), "")


@dataclass(frozen=True)
class Grid:
    """Callers' NATs down, callees' NATs across."""

    nats: tuple[str, ...]
    results: tuple[CallResult, ...]

    @classmethod
    def of(cls, results: Iterable[CallResult], nats: Sequence[str] = ()) -> "Grid":
        """The grid of these calls; `nats` gives the order, others follow as they come."""
        known = tuple(results)
        names = [*nats, *(nat for result in known for nat in (result.caller_nat, result.callee_nat))]
        return cls(tuple(dict.fromkeys(names)), known)

    def cell(self, caller_nat: str, callee_nat: str) -> Cell:
        """The calls of one pair."""
        pair = caller_nat, callee_nat
        results = (result for result in self.results if (result.caller_nat, result.callee_nat) == pair)
        return Cell(*pair, tuple(results))

    @property
    def rows(self) -> list[list[Cell]]:
        """All cells, a list for each caller's NAT."""
        return [[self.cell(caller, callee) for callee in self.nats] for caller in self.nats]

    @property
    def calls(self) -> list[CallResult]:
        """All calls, row by row."""
        return [result for row in self.rows for cell in row for result in cell.results]


def markdown(grid: Grid) -> str:
    """The grid as a Markdown table: the seconds of the other's tone that the worse-off party heard."""
    head = ["caller behind ↓ / callee behind →", *grid.nats]
    lines = [_row(head), _row(["---", *(":---:" for _ in grid.nats)])]
    for row in grid.rows:
        lines.append(_row([row[0].caller_nat, *(_mark(cell) for cell in row)]))
    return "\n".join(lines)


def _row(fields: Iterable[str]) -> str:
    return f"| {' | '.join(fields)} |"


def _mark(cell: Cell) -> str:
    return f"✓ {cell.seconds:.1f} s" if cell.ok else f"✗ {cell.problem}".replace("|", "/").splitlines()[0]


def replace_block(text: str, table: str) -> str:
    """The text with the table between `<!-- grid:begin -->` and `<!-- grid:end -->`, and nothing else changed.

    Raises ValueError when the two marks are not there once each, in this order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise ValueError(
            f"expected {BEGIN} and then {END}, once each; add the two lines where the grid belongs"
        )
    return f"{before}{begin}\n{table}\n{end}{after}"
