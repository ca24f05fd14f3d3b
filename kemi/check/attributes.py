"""K210: attributes that kemi's objects do not have, in rules."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Collection, Iterator
from functools import cache

from kemi.check import modules
from kemi.check.finding import Finding
from kemi.check.project import Project, methods
from kemi.check.scopes import Function
from kemi.check.source import Source

# What a Router has as attributes, by the class that says what is in them.
_HELD = {"settings": "kemi.settings.Settings", "features": "kemi.features.Features"}


def check(project: Project) -> Iterator[Finding]:
    """Of requests, replies and branches that rules get, of the router, its settings and features."""
    for each in project.sources.values():
        for cls in project.router_classes(each):
            known = project.inherited_rules(each, cls)
            yield from _router(project, each, cls)
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


def _router(project: Project, each: Source, cls: ast.ClassDef) -> Iterator[Finding]:
    """Of ``self`` and ``super()``, where the class derives from kemi's classes only, and none derives from it."""
    inherited: set[str] = set(dir(object))
    for base in cls.bases:
        names = attributes(each.scopes.imported(base) or "")
        if names is None:
            return
        inherited |= names
    if cls.keywords or cls.decorator_list or cls.name in _base_names(project) or _is_dynamic(cls):
        return
    known = inherited | _set_in(cls)
    for node in (node for function in methods(cls).values() for node in ast.walk(function)):
        match node:
            case ast.ClassDef():
                return  # with a `self` of its own
            case ast.Attribute(value=ast.Name(id="self"), ctx=ast.Load()) if node.attr not in known:
                yield _no_attribute(each, node, cls.name, known)
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"))) if node.attr not in inherited:
                yield _no_attribute(each, node, f"what {cls.name} derives from", inherited)


def _set_in(cls: ast.ClassDef) -> set[str]:
    """The names that a class gives a value to, its own or an object's."""
    found = set(methods(cls))
    for node in ast.walk(cls):
        match node:
            case (
                ast.Name(id=name, ctx=ast.Store())
                | ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store())
            ):
                found.add(name)
            case ast.Constant(value=str(name)):
                found.add(name)  # __slots__
    return found


def _is_dynamic(cls: ast.ClassDef) -> bool:
    """May there be attributes whose names do not stand in the text?"""
    names = (node.id if isinstance(node, ast.Name) else getattr(node, "attr", "") for node in ast.walk(cls))
    return "__getattr__" in methods(cls) or not {"vars", "setattr", "__dict__"}.isdisjoint(names)


def _base_names(project: Project) -> set[str]:
    """The last part of what any class derives from."""
    classes = (cls for source in project.sources.values() for cls in source.classes.values())
    return {ast.unparse(base).rpartition(".")[2] for cls in classes for base in cls.bases}


def _no_attribute(each: Source, node: ast.Attribute, of: str, known: Collection[str]) -> Finding:
    close = difflib.get_close_matches(node.attr, known, n=1)
    return each.finding(
        node,
        "K210",
        f"{of} has no attribute '{node.attr}'",
        "the line raises AttributeError when it is reached, and a request gets 500",
        f"did you mean '{close[0]}'?" if close else "docs/reference/rules.md shows what a Router has",
    )


def _missing(each: Source, node: ast.Attribute, kind: str) -> Iterator[Finding]:
    known = attributes(kind)
    if known is not None and node.attr not in known and not node.attr.startswith("__"):
        yield _no_attribute(each, node, kind.rpartition(".")[2], known)


@cache
def attributes(kind: str) -> frozenset[str] | None:
    """The attributes of a class of kemi's, inherited ones too; None if its text does not show them all."""
    module, _, name = kind.rpartition(".")
    found = modules.own(module)
    cls = found.classes.get(name) if found is not None else None
    if found is None or cls is None:
        return None
    names = _set_in(cls)
    for base in cls.bases:
        inherited = attributes(found.scopes.imported(base) or f"{module}.{ast.unparse(base)}")
        if inherited is None:
            return None
        names |= inherited
    return None if "__getattr__" in names else frozenset(names)
