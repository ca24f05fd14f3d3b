"""K201 to K207: what Kamailio looks up by name on the object that mod_init() returned."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator

from kemi.check import handler, modules
from kemi.check.cfg import Cfg
from kemi.check.cfg_reader import Statement
from kemi.check.finding import Finding
from kemi.check.handler import (
    NATIVE,
    STANDARD,
    Handler,
    armed,
    callback_names,
    event_callbacks,
    executed,
    route_name,
)
from kemi.check.project import Project
from kemi.check.scopes import Function
from kemi.check.source import Source


def check(project: Project) -> Iterator[Finding]:
    """All of them."""
    entry = project.entry
    if entry is not None and not project.served_by_kemi:
        yield from _mod_init(entry)
    found = handler.find(project)
    if found is not None:
        yield from _missing(project, found)
        yield from _signatures(project, found)
        yield from _child_init(found)
    names = found.names if found is not None and found.complete else None
    if project.served_by_kemi:
        names = set(modules.library("kemi.handler", "Handler"))
    if names is not None:
        yield from _by_name(project, names)


def _mod_init(entry: Source) -> Iterator[Finding]:
    function = entry.top_function("mod_init")
    why = "app_python3 calls mod_init() once and looks the callbacks up on the object that it returns"
    fix = "def mod_init(): return Handler()"
    if function is None:
        names = modules.names_in(entry.path)
        if names is not None and "mod_init" not in names:
            yield entry.finding(entry.tree, "K205", "the loaded file has no mod_init()", why, fix)
    elif not any(_gives_or_raises(node) for node in ast.walk(function)):
        yield entry.finding(function, "K205", "mod_init() returns nothing", why, fix)


def _gives_or_raises(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise) or (isinstance(node, ast.Return) and node.value is not None)


def _missing(project: Project, found: Handler) -> Iterator[Finding]:
    if not found.complete or (project.cfg and not project.cfg.runs_python):
        return  # native routes call what they like
    for kind in STANDARD:
        name = route_name(project, kind)
        if not name or name in found.names or (kind != "request" and project.target.forgives):
            continue
        if project.cfg and project.cfg.callback(kind):
            continue  # _by_name() names the line in kamailio.cfg
        finding = found.source.finding
        if kind == "request":
            why = "Kamailio calls it for every request; without it none is answered"
            yield finding(
                found.node, "K202", f"{found.node.name} has no {name}()", why, f"def {name}(self, msg): ..."
            )
            continue
        called = "message sent" if kind == "onsend" else "reply received"
        yield finding(
            found.node,
            "K202",
            f"{found.node.name} has no {name}()",
            f"up to Kamailio 5.7 looking for it at each {called} leaves an error behind that breaks the KSR call or "
            "the message after it",
            f'def {name}(self, msg): return 1; or in kamailio.cfg: kemi.{kind}_route_callback="none"',
        )


def _child_init(found: Handler) -> Iterator[Finding]:
    function = found.methods.get("child_init")
    why = "app_python3 calls it in every process, and a process that gets no number from it does not start"
    fix = "def child_init(self, rank): return 0"
    if function is None:
        if found.complete and "child_init" not in found.names:
            name = found.node.name
            yield found.source.finding(found.node, "K206", f"{name} has no child_init()", why, fix)
    elif not any(isinstance(node, ast.Return) and node.value for node in ast.walk(function)):
        yield found.source.finding(function, "K206", "child_init() returns nothing", why, fix)


def _signatures(project: Project, found: Handler) -> Iterator[Finding]:
    expected = {**callback_names(project), "child_init": 1}
    for name, count in expected.items():
        function = found.methods.get(name)
        if function is None:
            continue
        if isinstance(function, ast.AsyncFunctionDef):
            yield found.source.finding(
                function,
                "K207",
                f"callback {name}() is async",
                "Kamailio calls it and drops the coroutine: nothing in it ever runs",
                "make it a plain `def`",
            )
        if not accepts(function, count + 1) and not function.decorator_list:
            given = {1: "the message", 2: "the message and the event's name"}[count]
            given = "the rank" if name == "child_init" else given
            yield found.source.finding(
                function,
                "K203",
                f"{name}() cannot be called with {given}: {source_of(function)}",
                "Kamailio's call raises TypeError each time",
                f"def {name}(self, {'rank' if name == 'child_init' else 'msg' if count == 1 else 'msg, event'}): ...",
            )


def accepts(function: Function, count: int) -> bool:
    """Can it be called with that many positional arguments (the object itself included)?"""
    arguments = function.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required = positional - len(arguments.defaults)
    named = any(default is None for default in arguments.kw_defaults)
    return required <= count and (count <= positional or arguments.vararg is not None) and not named


def source_of(function: Function) -> str:
    """The head of a definition."""
    return f"def {function.name}({ast.unparse(function.args)})"


def _by_name(project: Project, names: set[str]) -> Iterator[Finding]:
    if project.cfg is not None:
        for statement in [*_route_callbacks(project), *event_callbacks(project), *executed(project)]:
            name = statement.args[0 if statement.kind == "python_exec" else -1]
            if name and name.lower() != "none" and name not in names:
                what = f"the callback '{name}' does not exist{_close(name, names)}"
                why = "Kamailio looks it up each time and finds nothing to call"
                yield statement.finding("K204", what, why, "correct the name, or define the callback")
    for source in project.sources.values():
        for node, function, name in armed(source):
            if project.cfg is not None and project.cfg.calls_python:
                yield from _native(project.cfg, source, node, function, name)
            elif name not in names:
                kemis = "; under kemi override on_branch, on_reply or on_failure instead"
                yield source.finding(
                    node,
                    "K201",
                    f"the callback '{name}' does not exist{_close(name, names)}",
                    "Kamailio up to 5.7 says nothing, later ones log it; the message goes on without the callback",
                    "correct the name, or define the callback" + (kemis if project.served_by_kemi else ""),
                )


def _native(cfg: Cfg, source: Source, node: ast.expr, function: str, name: str) -> Iterator[Finding]:
    """Without cfgengine a name is that of a native route."""
    kind = NATIVE.get(function)
    if kind is not None and cfg.route(kind, name) is None:
        known = {statement.args[0] for statement in cfg.active(kind) if statement.args}
        yield source.finding(
            node,
            "K201",
            f"{cfg.name} has no {kind}[{name}]{_close(name, known)}",
            'without cfgengine "python" the name is that of a native route; Kamailio goes on without it',
            f'{kind}[{name}] {{ python_exec("{name}"); }}',
        )


def _close(name: str, names: set[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _route_callbacks(project: Project) -> list[Statement]:
    assert project.cfg is not None
    found = [project.cfg.callback(kind) for kind in ("request", "reply", "onsend", "event", "received")]
    return [statement for statement in found if statement is not None]
