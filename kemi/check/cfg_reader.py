"""Reads the statements of a kamailio.cfg that matter to Python routes, with their places.

The parts between ``#!ifdef`` and ``#!endif`` that do not apply are read as well and marked as not active.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kemi.check.codes import CODES
from kemi.check.finding import Finding, Severity

_TOKEN = re.compile(
    r"""
      (?P<directive> ^[ \t]*(?:\#!|!!)(?:[^\n\\]|\\.)* )
    | (?P<variable>  \$\((?:[^()\n]|\([^()\n]*\))*\) )
    | (?P<comment>   /\*.*?\*/ | \#[^\n]* | //[^\n]* )
    | (?P<text>      "(?:\\.|[^"\\])*" | '[^']*' )
    | (?P<word>      [A-Za-z_][\w.]* )
    | (?P<other>     -?\d+ | \S )
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
_DIRECTIVE = re.compile(r"\s*(?:#!|!!)(\w+)\s*(.*)", re.DOTALL)
_DEFINE = re.compile(r"(\w+)\s*=?\s*(.*)", re.DOTALL)
_TEXT_OR_WORD = re.compile(r'"(?:\\.|[^"\\])*"|\S+')
_ROUTE_NAME = re.compile(r"\s*\[([^\]]*)\]")
_DEEPEST = 10  # includes within includes, defines within defines

_ROUTE = re.compile(r"(request_|reply_|onsend_|branch_|failure_|onreply_|event_)?route")


@dataclass(frozen=True)
class Statement:
    """One statement: `kind` is its first word, `args` its values with defines resolved and quotes removed.

    `conditions` are the directives around it; it is active where all of them apply.
    """

    kind: str
    args: tuple[str, ...]
    file: str
    line: int
    column: int
    active: bool
    conditions: tuple[str, ...]

    def finding(self, code: str, what: str, why: str, fix: str, severity: Severity | None = None) -> Finding:
        """A finding at this statement."""
        severity = severity or CODES[code].severity
        return Finding(self.file, self.line, self.column, code, what, why, fix, severity)


@dataclass
class _Condition:
    text: str
    holds: bool
    known: bool = True  # ifexp is left to Kamailio: both of its parts count


@dataclass
class Reader:
    """Reads one cfg and what it includes. `name` is how findings call the file."""

    defines: dict[str, str]
    statements: list[Statement] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def read(self, path: Path, name: str, depth: int = 0) -> None:
        """Add the statements of a file. Raises OSError if it cannot be opened."""
        self.read_text(path.read_text(encoding="utf-8", errors="replace"), name, path.parent, depth)

    def read_text(self, text: str, name: str, folder: Path, depth: int = 0) -> None:
        """Add the statements of a text; files that it includes are looked for from the current folder and `folder`."""
        part = _Part(self, name, text, folder, depth)
        if "\0" in text:
            part.refuse_binary()
        else:
            part.run()


class _Part:
    """One file on its way through the reader."""

    def __init__(self, reader: Reader, name: str, text: str, folder: Path, depth: int) -> None:
        self._reader = reader
        self._name = name
        self._text = text
        self._folder = folder
        self._depth = depth
        self._conditions: list[_Condition] = []

    def run(self) -> None:
        braces = 0
        tokens = self._tokens()
        for kind, token, start in tokens:
            if kind == "directive":
                self._directive(token, start)
            elif token in "{}" and kind == "other":
                # Two conditions may open the same block, each in its way; one of them applies.
                braces += (1 if token == "{" else -1) * self._active
            elif token == "python_exec":
                self._add(token, self._parameters(tokens), start)
            elif kind == "word" and braces == 0:
                self._statement(token, start, tokens)
        for condition in self._conditions:
            self._complain(
                len(self._text) - 1, f"expected #!endif for {condition.text}, found the end of the file"
            )

    def refuse_binary(self) -> None:
        """Its statements, if there are any, would be found by chance."""
        self._complain(self._text.index("\0"), "expected a text file, found binary data (a NUL byte)")

    def _tokens(self) -> Iterator[tuple[str, str, int]]:
        for match in _TOKEN.finditer(self._text):
            if match.lastgroup and match.lastgroup != "comment":
                yield match.lastgroup, match[0], match.start()

    # -- directives

    @property
    def _active(self) -> bool:
        return all(condition.holds for condition in self._conditions)

    def _directive(self, text: str, start: int) -> None:
        match = _DIRECTIVE.match(text)
        if match is None:
            return
        word, rest = match[1], match[2].strip()
        defines = self._reader.defines
        name = rest.split()[0] if rest else ""
        if word in ("ifdef", "ifndef"):
            self._conditions.append(_Condition(f"{word} {name}", (name in defines) == (word == "ifdef")))
        elif word == "ifexp":
            self._conditions.append(_Condition(f"ifexp {rest}", True, known=False))
        elif word in ("else", "endif") and not self._conditions:
            self._complain(start, f"expected #!ifdef before #!{word}, found none")
        elif word == "else":
            last = self._conditions[-1]
            last.holds = not last.holds or not last.known
            last.text = f"not ({last.text})"
        elif word == "endif":
            self._conditions.pop()
        elif self._active:
            self._define(word, rest)

    def _define(self, word: str, rest: str) -> None:
        defines = self._reader.defines
        match = _DEFINE.match(rest)
        if word in ("substdef", "substdefs") and len(rest) > 2:
            parts = rest.strip('"').split(rest.strip('"')[0])
            if len(parts) > 2:
                defines[parts[1]] = f'"{parts[2]}"'
        elif match is None:
            return
        elif word in ("define", "def", "redefine", "redef"):
            defines[match[1]] = match[2]
        elif word in ("trydefine", "trydef"):
            defines.setdefault(match[1], match[2])
        elif word in ("undefine", "undef", "tryundefine", "tryundef"):
            defines.pop(match[1], None)
        elif word in ("defenv", "defenvs", "trydefenv", "trydefenvs"):
            variable, _, alias = rest.partition("=")
            if variable in os.environ:
                value = os.environ[variable]
                defines.setdefault(alias or variable, f'"{value}"' if word.endswith("s") else value)
        elif word in ("defexp", "defexps"):
            defines[match[1]] = ""

    # -- statements

    def _statement(self, word: str, start: int, tokens: Iterator[tuple[str, str, int]]) -> None:
        name = _ROUTE_NAME.match(self._text, start + len(word))
        if _ROUTE.fullmatch(word):
            self._add(word, (name[1].strip("\"' "),) if name else (), start)
        elif word in ("loadmodule", "loadmodulex"):
            self._add("loadmodule", (self._value(self._until_value(tokens)),), start)
            module = module_name(self._reader.statements[-1].args[0])
            if self._active:
                self._reader.defines.setdefault(f"MOD_{module}", "")
        elif word in ("modparam", "modparamx"):
            self._add("modparam", self._parameters(tokens), start)
        elif word == "cfgengine" or (word.startswith("kemi.") and word.endswith("_route_callback")):
            self._add(word, (self._value(self._until_value(tokens)),), start)
        elif word in ("include_file", "import_file"):
            self._include(word, self._value(self._until_value(tokens)), start)

    def _until_value(self, tokens: Iterator[tuple[str, str, int]]) -> list[str]:
        for kind, token, _ in tokens:
            if kind in ("text", "word"):
                return [token]
        return []

    def _parameters(self, tokens: Iterator[tuple[str, str, int]]) -> tuple[str, ...]:
        found: list[list[str]] = [[]]
        active = self._active
        for kind, token, start in tokens:
            if kind == "directive":
                self._directive(token, start)
            elif token == ")":
                break
            elif token == ",":
                found.append([])
            elif token != "(" and self._active == active:
                found[-1].append(token)
        return tuple(self._value(parts) for parts in found)

    def _value(self, parts: list[str]) -> str:
        return resolve(parts, self._reader.defines)

    def _include(self, word: str, name: str, start: int) -> None:
        if not self._active:
            return
        path = next((place for place in (Path(name), self._folder / name) if place.is_file()), None)
        if path is None and word == "include_file":
            # Elsewhere than on the server itself an absolute path may well be missing.
            severity: Severity = "warning" if name.startswith("/") else "error"
            self._complain(start, f"expected the file {name}, found none", severity)
        elif path is not None and self._depth < _DEEPEST:
            self._reader.read(path, str(path), self._depth + 1)

    def _add(self, kind: str, args: tuple[str, ...], start: int) -> None:
        line, column = self._place(start)
        conditions = tuple(condition.text for condition in self._conditions)
        statement = Statement(kind, args, self._name, line, column, self._active, conditions)
        self._reader.statements.append(statement)

    def _place(self, start: int) -> tuple[int, int]:
        return self._text.count("\n", 0, start) + 1, start - self._text.rfind("\n", 0, start)

    def _complain(self, start: int, what: str, severity: Severity = "error") -> None:
        line, column = self._place(max(start, 0))
        why = "Kamailio does not start with such a file"
        fix = "correct it; `kamailio -c -f FILE` says what Kamailio makes of it"
        self._reader.findings.append(Finding(self._name, line, column, "K507", what, why, fix, severity))


def resolve(parts: list[str], defines: Mapping[str, str], depth: int = 0) -> str:
    """The value of adjacent texts and defined names: texts lose their quotes and are put together."""
    values = []
    for part in parts:
        if part[:1] in "\"'":
            values.append(part[1:-1].replace('\\"', '"'))
        elif part in defines and depth < _DEEPEST:
            values.append(resolve(_TEXT_OR_WORD.findall(defines[part]), defines, depth + 1))
        else:
            values.append(part)
    return "".join(values)


def module_name(path: str) -> str:
    """The name of a module as `loadmodule` names it: "tm.so", "tm" or a path."""
    return path.rpartition("/")[2].removesuffix(".so")
