"""K107: names that nothing defines."""

from __future__ import annotations

import ast
import builtins
import difflib
from collections.abc import Iterator

from kemi.check.finding import Finding
from kemi.check.project import Project
from kemi.check.source import Source

_OF_MODULES = {"__file__", "__path__", "__annotations__", "__builtins__"}
_OF_CLASSES = {"__class__", "__module__", "__qualname__"}
_BUILTIN = set(dir(builtins)) | _OF_MODULES | _OF_CLASSES


def check(project: Project) -> Iterator[Finding]:
    """Each such name, where it is used; nothing in files whose names cannot all be told from their text."""
    for source in project.sources.values():
        if any(_hides_names(node) for node in ast.walk(source.tree)):
            continue
        known = _BUILTIN | set(_tried(source))
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Name) or node.id in known or source.scopes.bindings(node):
                continue
            if not _is_annotation(source, node):
                yield _undefined(source, node)


def _hides_names(node: ast.AST) -> bool:
    match node:
        case ast.alias(name="*"):
            return True
        case ast.Call(func=ast.Name(id="exec" | "globals" | "locals" | "vars" | "setattr")):
            return True
        case ast.Attribute(attr="_convert_" | "global_enum"):  # module enum puts names into the module
            return True
    return bool(getattr(node, "type_params", None))  # `def f[T]()`, whose names are no ast.Name


def _tried(source: Source) -> Iterator[str]:
    """Names whose absence the file expects: try: NAME except NameError."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Try) and any("NameError" in ast.unparse(each) for each in node.handlers):
            yield from (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))


def _is_annotation(source: Source, node: ast.Name) -> bool:
    """Is it part of an annotation, which may never be looked at?"""
    inside: ast.AST = node
    for outer in source.scopes.around(node):
        if inside in (getattr(outer, "annotation", None), getattr(outer, "returns", None)):
            return True
        inside = outer
    return False


def _undefined(source: Source, node: ast.Name) -> Finding:
    known = source.scopes.names_of_module() | _BUILTIN
    close = difflib.get_close_matches(node.id, known, n=1, cutoff=0.75)
    fix = f"did you mean '{close[0]}'?" if close else "import or define it"
    if node.id == "KSR":
        fix = "import KSR"
    why = "the line raises NameError when it is reached, and the message gets no answer"
    return source.finding(node, "K107", f"the name '{node.id}' is not defined", why, fix)
