"""The syntax trees of functions."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from types import CodeType

from kemi.flat.trees import assigned


class StaysACallError(Exception):
    """A function cannot be written out; the text says why."""


class Sources:
    """Reads each function once."""

    def __init__(self) -> None:
        self._files: dict[str, list[str]] = {}
        self._trees: dict[CodeType, ast.FunctionDef] = {}
        self._assigned: dict[CodeType, Counter[str]] = {}

    def find(self, code: CodeType) -> ast.FunctionDef:
        """Raises StaysACallError where there is no source."""
        if code not in self._trees:
            self._trees[code] = self._read(code)
        return self._trees[code]

    def assigned(self, code: CodeType) -> Counter[str]:
        """The names of its variables, and how often each is assigned to."""
        if code not in self._assigned:
            self._assigned[code] = Counter(assigned(self.find(code)))
        return self._assigned[code]

    def _read(self, code: CodeType) -> ast.FunctionDef:
        last = max((end for _, end, _, _ in code.co_positions() if end is not None), default=0)
        lines = self._lines(code.co_filename)[code.co_firstlineno - 1 : last]
        try:
            (tree,) = _parsed("".join(lines))
        except (SyntaxError, ValueError):
            raise StaysACallError(f"{code.co_name} has no source") from None
        if not isinstance(tree, ast.FunctionDef) or tree.name != code.co_name:
            raise StaysACallError(f"{code.co_name} is no function of its own")
        if not _is_code_of(tree, code):
            raise StaysACallError(f"the source of {code.co_name} has changed since it was loaded")
        return tree

    def _lines(self, file: str) -> list[str]:
        if file not in self._files:
            try:
                self._files[file] = Path(file).read_text(encoding="utf-8").splitlines(keepends=True)
            except OSError:
                self._files[file] = []
        return self._files[file]


def _parsed(text: str) -> list[ast.stmt]:
    """Indented as it may be: texts of several lines are part of it."""
    if not text[:1].isspace():
        return ast.parse(text).body
    (around,) = ast.parse(f"if True:\n{text}").body
    assert isinstance(around, ast.If)
    return around.body


def _is_code_of(tree: ast.FunctionDef, code: CodeType) -> bool:
    """Has it the same names and constants? A file may have been replaced while the server runs."""
    found = compile(ast.Module([tree], []), code.co_filename, "exec", dont_inherit=True)
    made = [one for one in found.co_consts if isinstance(one, CodeType) and one.co_name == code.co_name]
    return bool(made) and _essence(made[-1]) == _essence(code)


def _essence(code: CodeType) -> tuple[object, ...]:
    constants = [(type(one), one) for one in code.co_consts if not isinstance(one, CodeType)]
    # Not the instructions: they depend on what the module has imported.
    return code.co_names, code.co_varnames, constants
