"""Documents as the tests see them: code blocks whose first line names a file are files, those with ``$`` are typed."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"# (?P<name>[\w/]+\.\w+)(?P<end>, at the end)?\n")
_STEP = re.compile(rf"{_BLOCK.pattern}|^<!-- (?P<mark>.+?) -->$", re.MULTILINE | re.DOTALL)
_DIAL = re.compile(r"dial: (?P<number>\S+): (?P<answer>\d{3} .+)")


@dataclass(frozen=True)
class Write:
    """Write a file. With `append` the text goes to its end, until :class:`Mend`."""

    name: str
    text: str
    append: bool


@dataclass(frozen=True)
class Type:
    """Type a command, which prints `output`; in it ``...`` is any text, alone on a line any number of lines."""

    command: str
    output: tuple[str, ...]

    def printed(self, text: str) -> bool:
        """Is this what the document shows?"""
        lines = [
            r"(?:.*\n)*" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n"
            for line in self.output
        ]
        return re.fullmatch("".join(lines), textwrap.dedent(text).strip("\n") + "\n") is not None


@dataclass(frozen=True)
class Dial:
    """Call a number, which is refused with `answer`, as ``403 Forbidden``."""

    number: str
    answer: str


@dataclass(frozen=True)
class Mend:
    """Take out what was appended."""


Step = Write | Type | Dial | Mend


def files(document: str) -> dict[str, str]:
    """The text of each file that a document in docs/ shows, by name: blocks that begin with ``# name.py``."""
    found: dict[str, str] = {}
    for block in blocks(document):
        if name := _NAME.match(block["text"]):
            assert name["name"] not in found, f"docs/{document} shows {name['name']} twice"
            found[name["name"]] = block["text"]
    return found


def outputs(document: str) -> list[list[str]]:
    """What a document shows as output, line by line: blocks of the language ``text``."""
    return [block["text"].splitlines() for block in blocks(document) if block["language"] == "text"]


def blocks(document: str) -> list[re.Match[str]]:
    """The code blocks of a document, each with its ``language`` and ``text``."""
    return list(_BLOCK.finditer((DOCS / document).read_text(encoding="utf-8")))


def steps(document: str) -> list[Step]:
    """What a reader does, in order: all between ``<!-- steps:begin -->`` and ``<!-- steps:end -->``."""
    text = (DOCS / document).read_text(encoding="utf-8")
    _, _, text = text.partition("<!-- steps:begin -->\n")
    text, _, _ = text.partition("<!-- steps:end -->\n")
    return [step for found in _STEP.finditer(text) for step in _steps(found)]


def _steps(found: re.Match[str]) -> Iterator[Step]:
    if mark := found["mark"]:
        if mark == "mended":
            yield Mend()
            return
        dialled = _DIAL.fullmatch(mark)
        assert dialled, f"expected 'mended' or 'dial: NUMBER: CODE REASON', found {mark!r}"
        yield Dial(dialled["number"], dialled["answer"])
    elif found["language"] == "console":
        for command in re.split(r"^\$ ", found["text"], flags=re.MULTILINE)[1:]:
            first, *output = command.splitlines()
            yield Type(first, tuple(output))
    elif name := _NAME.match(found["text"]):
        # A first line that says where the rest belongs is no part of the file.
        text = found["text"][name.end() :] if name["end"] else found["text"]
        yield Write(name["name"], text, bool(name["end"]))


def write(document: str, folder: Path) -> None:
    """Write the files of a document into a folder."""
    for name, text in files(document).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
