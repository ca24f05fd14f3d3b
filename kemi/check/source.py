"""One Python file under check."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from kemi.check.codes import CODES
from kemi.check.finding import Finding, Severity
from kemi.check.scopes import Function, Scopes

# ast.unparse() takes three calls for each level, and Python allows a thousand.
_DEEPEST = 250
_IGNORED = re.compile(r"#\s*kemi:\s*ignore\[([A-Z0-9, ]+)\]")


def ignored_codes(line: str) -> frozenset[str]:
    """The codes that a comment ``# kemi: ignore[K401, K702]`` on this line silences."""
    match = _IGNORED.search(line)
    return frozenset(code.strip() for code in match[1].split(",")) if match else frozenset()


@dataclass
class Source:
    """A parsed file. `name` is how findings call it."""

    path: Path
    name: str
    text: str
    tree: ast.Module
    scopes: Scopes = field(init=False)
    lines: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.scopes = Scopes(self.tree)
        self.lines = self.text.split("\n")

    def finding(
        self, node: ast.AST, code: str, what: str, why: str, fix: str, severity: Severity | None = None
    ) -> Finding:
        """A finding at a node; line 1 for the whole module."""
        line = getattr(node, "lineno", 1)
        # Python counts bytes, editors count characters.
        before = self.lines[line - 1].encode()[: getattr(node, "col_offset", 0)] if self.lines else b""
        column = len(before.decode("utf-8", "replace")) + 1
        if isinstance(node, Function | ast.ClassDef):
            # A definition starts at its decorators for no reader.
            column += len("async def " if isinstance(node, ast.AsyncFunctionDef) else "def ")
            column += 2 * isinstance(node, ast.ClassDef)
        return Finding(self.name, line, column, code, what, why, fix, severity or CODES[code].severity)

    def segment(self, node: ast.AST) -> str:
        """The source of a node on one line, shortened."""
        text = " ".join((ast.get_source_segment(self.text, node) or ast.unparse(node)).split())
        return text if len(text) <= 60 else text[:57] + "..."

    @property
    def functions(self) -> list[Function]:
        """Every function and method."""
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]

    @property
    def classes(self) -> dict[str, ast.ClassDef]:
        """The classes at module level."""
        return {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef)}

    def top_function(self, name: str) -> Function | None:
        """The function of that name at module level."""
        found = [node for node in self.tree.body if isinstance(node, Function) and node.name == name]
        return found[-1] if found else None


def read(path: Path, name: str) -> Source | Finding:
    """The parsed file, or what stops Python from reading it.

    Raises OSError for a file that cannot be opened.
    """
    data = path.read_bytes()
    try:
        with warnings.catch_warnings(action="ignore"):
            # It also finds what the grammar allows and Python does not, such as `return` outside a function.
            compile(data, str(path), "exec", dont_inherit=True)
            tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        line, column, text = 1, 1, str(problem)
        if isinstance(problem, RecursionError | MemoryError):  # which of them depends on where it stopped
            text = "something in it is nested too deeply"
        if isinstance(problem, SyntaxError):
            line, column, text = problem.lineno or 1, max(problem.offset or 1, 1), problem.msg
        return Finding(
            name,
            line,
            column,
            "K101",
            f"Python cannot read the file: {text}",
            "`kamailio -c` does not look at it; the start fails, and a reload of such a file can kill the server",
            "correct the line",
            CODES["K101"].severity,
        )
    if _is_too_deep(tree):
        what = "something in the file is nested too deeply to be checked"
        why = "Python reads it, but nothing else in this file has been looked at"
        fix = "split the expression, or the chain of elif"
        return Finding(name, 1, 1, "K101", what, why, fix, "warning")
    return Source(path, name, data.decode("utf-8", "replace"), tree)


def _is_too_deep(tree: ast.Module) -> bool:
    """Would some of the checks, which go down into it, meet Python's limit of calls within calls?"""
    level: list[ast.AST] = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return bool(level)
