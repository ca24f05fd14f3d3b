"""What came of a case, and how two such records differ."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from kemi.testing.message import header_key


@dataclass
class Record:
    """What a server did in one case: per receiver the messages in their order, and what was left behind."""

    sections: dict[str, list[str]] = field(default_factory=dict)

    def add(self, receiver: str, text: str) -> None:
        self.sections.setdefault(receiver, []).append(text)


@dataclass(frozen=True)
class Difference:
    """The first message in which two records of a case differ."""

    case: str
    place: str
    #: Names of the headers that differ; "first line", "body" and "missing message" are others that it can name.
    fields: tuple[str, ...]
    expected: str
    found: str

    def __str__(self) -> str:
        lines = difflib.unified_diff(
            self.expected.splitlines(), self.found.splitlines(), "stock", "found", lineterm="", n=2
        )
        return "\n".join([f"{self.case}: {self.place}: {', '.join(self.fields)}", *lines])


def compare(case: str, expected: Record, found: Record) -> Difference | None:
    """The first difference; None for equal records."""
    for receiver in [*expected.sections, *(found.sections.keys() - expected.sections.keys())]:
        left, right = expected.sections.get(receiver, []), found.sections.get(receiver, [])
        for number in range(max(len(left), len(right))):
            one, other = (texts[number] if number < len(texts) else "" for texts in (left, right))
            if one != other:
                place = f"{receiver}, message {number + 1}"
                return Difference(case, place, differing_fields(one, other), one, other)
    return None


def differing_fields(one: str, other: str) -> tuple[str, ...]:
    """Names of the headers in which two messages differ."""
    if not one or not other:
        return ("missing message" if not other else "additional message",)
    left, right = _fields(one), _fields(other)
    names = [name for name in left | right if left.get(name) != right.get(name)]
    return tuple(names) or ("order of headers",)


def _fields(text: str) -> dict[str, list[str]]:
    head, _, body = text.partition("\n\n")
    first, *lines = head.splitlines()
    fields = {"first line": [first], "body": [body]}
    spelled: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(spelled.setdefault(header_key(name), name), []).append(value)
    return fields
