"""K508 to K510: what Kamailio refuses in a kamailio.cfg, so that it does not start."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kemi.check import lines
from kemi.check.cfg import NATIVE, Cfg
from kemi.check.cfg_reader import Statement, module_name
from kemi.check.finding import Finding
from kemi.check.project import Project
from kemi.check.target import installed

# The languages of `cfgengine`, each with the modules that bring it.
_LANGUAGES = {
    "python": ("app_python3", "app_python3s", "app_python"),
    "lua": ("app_lua",),
    "jsdt": ("app_jsdt",),
    "ruby": ("app_ruby",),
    "sqlang": ("app_sqlang",),
}
# Modules that `modparam` calls otherwise than `loadmodule`.
_OTHER_NAMES = {"ims_qos_npn": "ims_qos", "ss7ops": "ss7", "tls_wolfssl": "tls", "tlsa": "tls"}


def check(project: Project) -> Iterator[Finding]:
    """All of them; nothing without a cfg."""
    cfg = project.cfg
    if cfg is None:
        return
    found = [*engine(cfg), *_parameters(project, cfg)]
    yield from found
    # What has been found already need not be said again in Kamailio's words.
    if not found and not cfg.findings and project.target == installed():
        yield from lines.check(project, cfg)


def engine(cfg: Cfg) -> Iterator[Finding]:
    """A `cfgengine` that names no language, or one whose module is not loaded by then."""
    statement = cfg.engine_statement
    if cfg.engine in (None, *NATIVE) or statement is None:
        return
    why = "Kamailio does not start: it looks the language up in the modules loaded before this line"
    named = f'cfgengine "{statement.args[0]}"'
    modules = _LANGUAGES.get(cfg.engine)
    if modules is None:
        languages = ", ".join([*NATIVE, *_LANGUAGES])
        what = f"expected one of {languages}, found {named}"
        yield statement.finding("K508", what, why, 'cfgengine "python"')
        return
    before = cfg.statements[: cfg.statements.index(statement)]
    loaded = {module_name(each.args[0]) for each in before if each.kind == "loadmodule" and each.active}
    if loaded.isdisjoint(modules) and (cfg.engine != "python" or cfg.loads(modules[0])):
        # Python that is loaded nowhere is K501.
        what = f"expected {modules[0]}.so to be loaded before {named}, found it not loaded"
        yield statement.finding("K508", what, why, f'loadmodule "{modules[0]}.so" above this line')


def _parameters(project: Project, cfg: Cfg) -> Iterator[Finding]:
    """A `modparam` for a module that is not loaded by then."""
    if cfg.findings:
        return  # what is missing may load it
    loaded: set[str] = set()
    for statement in cfg.statements:
        if statement.active and statement.kind == "loadmodule":
            name = module_name(statement.args[0])
            loaded |= {name, _OTHER_NAMES.get(name, name)}
        elif statement.active and statement.kind == "modparam" and not _has(loaded, statement.args[0]):
            yield _early(project, cfg, statement)


def _has(loaded: set[str], module: str) -> bool:
    """Is a module of that name loaded? `modparam` takes a regular expression, ``modparamx`` variables as well."""
    if "$" in module or any("$" in name for name in loaded):
        return True
    try:
        pattern = re.compile(module, re.IGNORECASE)
    except re.error:
        return True
    return any(pattern.fullmatch(name) for name in loaded)


def _early(project: Project, cfg: Cfg, statement: Statement) -> Finding:
    module = statement.args[0]
    conditions = cfg.loaded_where(module)
    found, fix = "it loaded nowhere", "load it above this line, or correct the name"
    if cfg.loads(module):
        found, fix = "it loaded below", "move its loadmodule above this line"
    elif conditions:
        where = " and ".join(conditions)
        found, fix = f"it loaded only for: {where}", f"put the line under the same condition: {where}"
    # As with K303: without -A nobody has said how the server is started.
    sure = cfg.loads(module) or not conditions or bool(project.defines)
    what = f'expected "{module}" to be loaded before its modparam, found {found}'
    why = "Kamailio does not start: a parameter is set in a module that is there"
    return statement.finding("K509", what, why, fix, "error" if sure else "warning")
