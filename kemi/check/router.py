"""K208, K209, K211: subclasses of :class:`kemi.router.Router` that do not override what they mean to."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator

from kemi.check.callbacks import accepts, source_of
from kemi.check.finding import Finding
from kemi.check.project import Project, methods
from kemi.check.returns import own_nodes
from kemi.check.scopes import Function
from kemi.check.source import Source


def check(project: Project) -> Iterator[Finding]:
    """All of them, for every router class."""
    used = {node.attr for source in project.sources.values() for node in _attributes(source)}
    for source in project.sources.values():
        for cls in project.router_classes(source):
            known = project.inherited_rules(source, cls)
            for name, function in methods(cls).items():
                if name in known:
                    yield from _override(source, function, known[name])
                elif not name.startswith("_") and name not in used and not function.decorator_list:
                    close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
                    if close:
                        yield source.finding(
                            function,
                            "K208",
                            f"nothing calls {cls.name}.{name}(); did you mean '{close[0]}'?",
                            "Router has no method of that name, so this overrides nothing, and no rule mentions it",
                            f"def {close[0]}(...), or name it in rules()",
                        )


def _attributes(source: Source) -> Iterator[ast.Attribute]:
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.Attribute))


def _override(source: Source, function: Function, original: Function) -> Iterator[Finding]:
    count = len(original.args.args)
    if isinstance(function, ast.AsyncFunctionDef):
        yield source.finding(
            function,
            "K207",
            f"{function.name}() is async",
            "the router calls it and gets a coroutine, which is no verdict: the request gets 500",
            "make it a plain `def`; for slow work see K702",
        )
    elif not function.decorator_list and not accepts(function, count):
        yield source.finding(
            function,
            "K209",
            f"{source_of(function)} cannot be called as the method it overrides",
            f"it is called with {count - 1} argument{'s' * (count != 2)}: TypeError each time, and 500 for a request",
            source_of(original),
        )
    elif any(isinstance(node, ast.Return) and not _is_none(node.value) for node in own_nodes(original)):
        yield from _dropped(source, function)


def _dropped(source: Source, function: Function) -> Iterator[Finding]:
    for node in own_nodes(function):
        match node:
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=name))
            ):
                if name == function.name:
                    yield source.finding(
                        node,
                        "K211",
                        f"nothing becomes of what super().{name}() gives",
                        "what the overridden method has decided is not done",
                        f"return {source.segment(node)}",
                    )


def _is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)
