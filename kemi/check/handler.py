"""Which object Kamailio calls, and by which names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from kemi.check.cfg_reader import Statement
from kemi.check.project import Project, methods
from kemi.check.scopes import Function
from kemi.check.source import Source

# Functions that take the name of a callback, and which argument it is.
ARMING = {
    "tm.t_on_branch": 0,
    "tm.t_on_branch_failure": 0,
    "tm.t_on_failure": 0,
    "tm.t_on_reply": 0,
    "http_async_client.query": 1,
}
# Those among them that name a native route where Kamailio's own routes are in charge.
NATIVE = {
    "tm.t_on_branch": "branch_route",
    "tm.t_on_failure": "failure_route",
    "tm.t_on_reply": "onreply_route",
}
STANDARD = {"request": "ksr_request_route", "reply": "ksr_reply_route", "onsend": "ksr_onsend_route"}


@dataclass
class Handler:
    """The object that Kamailio calls. `methods` are those whose text we have; `names` are all it has."""

    source: Source
    node: ast.ClassDef
    methods: dict[str, Function] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    #: False if it may have names that its text does not show.
    complete: bool = True


def find(project: Project) -> Handler | None:
    """The handler of a script of the user's own; None if the text does not show which class it is."""
    entry = project.entry
    function = entry.top_function("mod_init") if entry else None
    if entry is None or function is None or project.served_by_kemi:
        return None
    for node in ast.walk(function):
        value = entry.scopes.value(node.value) if isinstance(node, ast.Return) and node.value else None
        if (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Name)
            and value.func.id in entry.classes
        ):
            found = Handler(entry, entry.classes[value.func.id])
            _collect(project, found, entry, found.node)
            return found
    return None


def _collect(project: Project, into: Handler, source: Source, cls: ast.ClassDef) -> None:
    for name, function in methods(cls).items():
        into.methods.setdefault(name, function)
    into.names |= set(methods(cls))
    for node in ast.walk(cls):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                into.names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                into.names.add(name)
            case ast.Call(func=ast.Name(id="setattr")):
                into.complete = False
    into.complete = (
        into.complete and "__getattr__" not in into.names and not cls.keywords and not cls.decorator_list
    )
    for base in cls.bases:
        if isinstance(base, ast.Name) and base.id in source.classes and base.id != cls.name:
            _collect(project, into, source, source.classes[base.id])
        elif not (isinstance(base, ast.Name) and base.id == "object"):
            into.complete = False


def callback_names(project: Project) -> dict[str, int]:
    """The names that Kamailio may call on the handler, each with the number of arguments it gives."""
    names = {statement.args[0]: len(statement.args) for statement in executed(project)}
    if project.cfg is None or project.cfg.runs_python:
        names |= dict.fromkeys((route_name(project, kind) for kind in STANDARD), 1)
        for source in project.sources.values():
            names |= {name: 2 if "http" in function else 1 for _, function, name in armed(source)}
        names |= {statement.args[2]: 2 for statement in event_callbacks(project)}
    names.pop("", None)
    return names


def executed(project: Project) -> list[Statement]:
    """The calls of `python_exec` in native routes: the name of the callback, and perhaps an argument for it."""
    return [each for each in project.cfg.active("python_exec") if each.args[0]] if project.cfg else []


def route_name(project: Project, kind: str) -> str:
    """The name of the callback for "request", "reply" or "onsend"; empty if kamailio.cfg switches it off."""
    statement = project.cfg.callback(kind) if project.cfg else None
    name = statement.args[0] if statement else STANDARD[kind]
    return "" if name.lower() == "none" else name


def event_callbacks(project: Project) -> list[Statement]:
    """The parameters of modules that name a callback for their events."""
    if project.cfg is None:
        return []
    return [
        statement
        for statement in project.cfg.active("modparam")
        if len(statement.args) == 3
        and statement.args[1].startswith("event_callback")
        and not statement.args[1].endswith("_mode")
        and not statement.args[0].startswith("app_")
    ]


def armed(source: Source) -> Iterator[tuple[ast.expr, str, str]]:
    """Where a file gives Kamailio the name of a callback, the function that takes it, and the name."""
    for node in ast.walk(source.tree):
        function = source.scopes.ksr(node.func) if isinstance(node, ast.Call) else None
        if function not in ARMING or not isinstance(node, ast.Call) or len(node.args) <= ARMING[function]:
            continue
        value = source.scopes.value(node.args[ARMING[function]])
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
            yield node.args[ARMING[function]], function, value.value
