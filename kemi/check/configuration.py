"""K501 to K506: what kamailio.cfg must have for Python routes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from kemi.check import modules, refusals
from kemi.check.cfg import NATIVE, Cfg
from kemi.check.cfg_reader import Statement
from kemi.check.codes import CODES
from kemi.check.finding import Finding
from kemi.check.project import BOOT, Project

_TABLE_USERS = {
    "registrar.save": 0,
    "registrar.lookup": 0,
    "registrar.registered": 0,
    "registrar.unregister": 0,
}

# The callbacks of kemi.handler, and the native routes for them.
_KEMIS = {
    "ksr_request_route": "request_route",
    "ksr_reply_route": "reply_route",
    "ksr_on_branch": "branch_route[ksr_on_branch]",
    "ksr_on_reply": "onreply_route[ksr_on_reply]",
    "ksr_on_failure": "failure_route[ksr_on_failure]",
}


def check(project: Project) -> Iterator[Finding]:
    """All of them; nothing without a cfg."""
    cfg = project.cfg
    if cfg is None or (cfg.findings and not cfg.statements):
        return  # without one, or with nothing of it read
    refused = any(refusals.engine(cfg))
    if cfg.engine not in (None, *NATIVE, "python") and not refused:
        return  # for another language
    yield from _script(project, cfg)
    if not refused:
        yield from _engine(project, cfg)
    yield from _preload(project, cfg)
    if project.served_by_kemi:
        yield from _features(cfg)


def _at(cfg: Cfg, statement: Statement | None, code: str, what: str, why: str, fix: str) -> Finding:
    file, line, column = (statement.file, statement.line, statement.column) if statement else (cfg.name, 1, 1)
    return Finding(file, line, column, code, what, why, fix, CODES[code].severity)


def _script(project: Project, cfg: Cfg) -> Iterator[Finding]:
    if not cfg.loads("app_python3"):
        conditions = " and ".join(cfg.loaded_where("app_python3"))
        what = (
            f"app_python3.so is loaded only for: {conditions}"
            if conditions
            else "app_python3.so is not loaded"
        )
        why = "it is the module that runs Python 3 routes"
        fix = "give the define with -A" if conditions else 'loadmodule "app_python3.so"'
        yield _at(cfg, None, "K501", what, why, fix)
        return
    script = cfg.script
    if script is None:
        why = "without the parameter app_python3 looks for /usr/local/etc/kamailio/handler.py"
        fix = 'modparam("app_python3", "load", "/path/to/routes.py")'
        yield _at(cfg, None, "K502", "no file for app_python3 to load", why, fix)
        return
    path = Path(script.args[2])
    checked = path.name in {each.name for each in project.sources} or path.name == BOOT
    if path.is_absolute() and not path.is_file() and not checked:
        what = f"the file to load, {path}, is not on this machine"
        why = "app_python3 loads it at the start; here it cannot be checked either"
        yield script.finding(
            "K502", what, why, "correct the path, or give kemi check the file too", "warning"
        )


def _engine(project: Project, cfg: Cfg) -> Iterator[Finding]:
    native = [cfg.route("request_route"), cfg.route("route")]
    if cfg.runs_python:
        for statement in filter(None, native):
            why = 'with cfgengine "python" Kamailio gives every request to Python'
            fix = "take it out, or take cfgengine out and call python_exec() from it"
            yield _at(cfg, statement, "K505", "this native request route never runs", why, fix)
    elif not cfg.calls_python and cfg.loads("app_python3"):
        why = "Kamailio starts, and no request ever comes to Python"
        fix = 'cfgengine "python", or python_exec("ksr_request_route") in request_route'
        yield _at(cfg, cfg.script, "K503", 'neither cfgengine "python" nor python_exec()', why, fix)
    elif project.served_by_kemi and cfg.loads("app_python3"):
        called = {statement.args[0] for statement in cfg.active("python_exec")}
        for callback, route in _KEMIS.items():
            if callback not in called:
                why = "Kamailio's own routes are in charge, and kemi counts on being called from each"
                what = f'no route calls python_exec("{callback}")'
                fix = f'{route} {{ python_exec("{callback}"); }}; or instead of all: cfgengine "python"'
                yield _at(cfg, cfg.script, "K503", what, why, fix)


def _preload(project: Project, cfg: Cfg) -> Iterator[Finding]:
    if not cfg.loads("usrloc"):
        return
    preloaded = {statement.args[2] for statement in cfg.parameters("usrloc", "preload")}
    load = next(statement for statement in cfg.active("loadmodule") if "usrloc" in statement.args[0])
    for table in sorted(_tables(project) - preloaded):
        yield _at(
            cfg,
            load,
            "K504",
            f"usrloc does not preload the table '{table}'",
            "a native configuration names its tables to usrloc while it is parsed, Python does not: "
            f"save() and lookup() fail with 'domain [{table}] not found'",
            f'modparam("usrloc", "preload", "{table}")',
        )


def _tables(project: Project) -> set[str]:
    """The location tables that Python uses."""
    found = {"location"} if project.served_by_kemi else set()
    for each in project.sources.values():
        for node in ast.walk(each.tree):
            position = (
                _TABLE_USERS.get(each.scopes.ksr(node.func) or "") if isinstance(node, ast.Call) else None
            )
            if position is None or not isinstance(node, ast.Call) or len(node.args) <= position:
                continue
            value = each.scopes.value(node.args[position])
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found.add(value.value)
    return found


def _features(cfg: Cfg) -> Iterator[Finding]:
    """A define of kemi's without its modules, which :mod:`kemi.features` refuses at the start."""
    found = modules.own("kemi.features")
    assert found is not None
    for node in ast.walk(found.tree):
        match node:
            case ast.Call(func=ast.Name(id="switch"), args=[ast.Constant(value=str(define)), *needed]):
                names = [part.value for part in needed if isinstance(part, ast.Constant)]
                missing = [str(name) for name in names if define in cfg.defines and not cfg.loads(str(name))]
                for name in missing:
                    why = f"kemi refuses to start: the routes of {define} call its functions"
                    what = f"{define} is defined, but {name}.so is not loaded"
                    yield _at(cfg, None, "K506", what, why, f'loadmodule "{name}.so"')
