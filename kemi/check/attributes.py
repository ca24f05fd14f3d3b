"""K210: attributes that kemi's objects do not have, in rules."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from functools import cache

from kemi.check import modules
from kemi.check.finding import Finding
from kemi.check.project import Project, methods
from kemi.check.scopes import Function
from kemi.check.source import Source

# What a Router has as attributes, by the class that says what is in them.
_HELD = {"settings": "kemi.settings.Settings", "features": "kemi.features.Features"}


def check(project: Project) -> Iterator[Finding]:
    """Of requests, replies and branches that rules get, and of the router's settings and features."""
    for each in project.sources.values():
        for cls in project.router_classes(each):
            known = project.inherited_rules(each, cls)
            for name, function in methods(cls).items():
                yield from _held(each, function)
                for argument, kind in _kinds(each, function, known.get(name)).items():
                    yield from _unknown(each, function, argument, kind)


def _kinds(each: Source, function: Function, original: Function | None) -> dict[ast.arg, str]:
    """The classes of kemi's that a method's arguments have, as annotated here or in the method it overrides."""
    found = {}
    router = modules.own("kemi.router")
    for position, argument in enumerate(function.args.args):
        kind = each.scopes.imported(argument.annotation) if argument.annotation else None
        if kind is None and original is not None and router is not None:
            arguments = original.args.args
            annotation = arguments[position].annotation if position < len(arguments) else None
            kind = _name_in_router(router, annotation)
        if kind is not None and kind.startswith("kemi."):
            found[argument] = kind
    return found


def _name_in_router(router: Source, annotation: ast.expr | None) -> str | None:
    """The class that an annotation of kemi.router means."""
    for node in ast.walk(router.tree):
        if isinstance(node, ast.ImportFrom) and isinstance(annotation, ast.Name | ast.Attribute):
            name = ast.unparse(annotation)
            top = name.partition(".")[0]
            if any(alias.name == top and not alias.asname for alias in node.names):
                return f"{node.module}.{name}"
    return None


def _unknown(each: Source, function: Function, argument: ast.arg, kind: str) -> Iterator[Finding]:
    for node in ast.walk(function):
        match node:
            case ast.Attribute(value=ast.Name() as owner) if each.scopes.bindings(owner) == [argument]:
                yield from _missing(each, node, kind)


def _held(each: Source, function: Function) -> Iterator[Finding]:
    for node in ast.walk(function):
        match node:
            case ast.Attribute(
                value=ast.Attribute(value=ast.Name(id="self"), attr=("settings" | "features") as held)
            ):
                yield from _missing(each, node, _HELD[held])


def _missing(each: Source, node: ast.Attribute, kind: str) -> Iterator[Finding]:
    known = attributes(kind)
    if known is not None and node.attr not in known and not node.attr.startswith("__"):
        close = difflib.get_close_matches(node.attr, known, n=1)
        yield each.finding(
            node,
            "K210",
            f"{kind.rpartition('.')[2]} has no attribute '{node.attr}'",
            "the line raises AttributeError when it is reached, and a request gets 500",
            f"did you mean '{close[0]}'?" if close else f"{kind.rpartition('.')[0]} shows what there is",
        )


@cache
def attributes(kind: str) -> frozenset[str] | None:
    """The attributes of a class of kemi's, inherited ones too; None if its text does not show them all."""
    module, _, name = kind.rpartition(".")
    found = modules.own(module)
    cls = found.classes.get(name) if found is not None else None
    if found is None or cls is None:
        return None
    names = set(methods(cls))
    for node in ast.walk(cls):
        match node:
            case (
                ast.Name(id=own, ctx=ast.Store())
                | ast.Attribute(value=ast.Name(id="self"), attr=own, ctx=ast.Store())
            ):
                names.add(own)
            case ast.Constant(value=str(slot)):
                names.add(slot)
    for base in cls.bases:
        inherited = attributes(found.scopes.imported(base) or f"{module}.{ast.unparse(base)}")
        if inherited is None:
            return None
        names |= inherited
    return None if "__getattr__" in names else frozenset(names)
