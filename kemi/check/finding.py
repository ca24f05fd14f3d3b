"""What a check reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, order=True)
class Finding:
    """One mistake, at one place.

    `file` is shown as the caller named it; `line` and `column` start at 1. An error is wrong however the server is
    started; a warning may depend on what the checked files do not say, or costs without being wrong.
    """

    file: str
    line: int
    column: int
    code: str
    what: str
    why: str
    fix: str
    severity: Severity

    def as_text(self) -> str:
        """``file:line:column: CODE what``, then a line for why and one for how to mend it."""
        mark = "" if self.severity == "error" else " (warning)"
        return (
            f"{self.file}:{self.line}:{self.column}: {self.code}{mark} {self.what}\n"
            f"    why: {self.why}\n"
            f"    fix: {self.fix}"
        )

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)
