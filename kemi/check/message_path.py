"""Which functions run while a message waits."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from kemi.check import handler
from kemi.check.project import Project, methods
from kemi.check.scopes import Function
from kemi.check.source import Source

# Methods of a Router that run before there is a message.
_AT_START = frozenset({"__init__", "start", "rules"})


def functions(project: Project) -> list[tuple[Source, Function]]:
    """The callbacks or rules, and the functions of the user's own that they call; each once, in no certain order."""
    waiting = list(_first(project))
    seen: dict[int, tuple[Source, Function]] = {}
    while waiting:
        source, function = waiting.pop()
        if id(function) not in seen:
            seen[id(function)] = (source, function)
            waiting += _called(project, source, function)
    return list(seen.values())


def _first(project: Project) -> Iterator[tuple[Source, Function]]:
    found = handler.find(project)
    for name in handler.callback_names(project) if found else ():
        if found is not None and name in found.methods:
            yield found.source, found.methods[name]
    for source in project.sources.values():
        for cls in project.router_classes(source):
            own, known = methods(cls), set(project.inherited_rules(source, cls)) - _AT_START
            listed = _named_on_self(own["rules"]) if "rules" in own else set()
            yield from ((source, own[name]) for name in own if name in known | listed)


def _named_on_self(function: Function) -> set[str]:
    return {
        node.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }


def _called(project: Project, source: Source, function: Function) -> Iterator[tuple[Source, Function]]:
    cls = source.scopes.parent(function)
    own = methods(cls) if isinstance(cls, ast.ClassDef) else {}
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)) if name in own:
                yield source, own[name]
            case ast.Call(func=ast.Name() as called):
                yield from _imported(project, source, called)
                for binding in source.scopes.bindings(called):
                    if isinstance(binding, Function):
                        yield source, binding
            case ast.Call(func=func):
                yield from _imported(project, source, func)


def _imported(project: Project, source: Source, func: ast.expr) -> Iterator[tuple[Source, Function]]:
    named = project.named(source, func)
    found = named[0].top_function(named[1]) if named else None
    if named and found is not None:
        yield named[0], found
