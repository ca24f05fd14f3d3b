"""K508: what Kamailio refuses in a kamailio.cfg, so that it does not start."""

from __future__ import annotations

from collections.abc import Iterator

from kemi.check.cfg import NATIVE, Cfg
from kemi.check.cfg_reader import module_name
from kemi.check.finding import Finding
from kemi.check.project import Project

# The languages of `cfgengine`, each with the modules that bring it.
_LANGUAGES = {
    "python": ("app_python3", "app_python3s", "app_python"),
    "lua": ("app_lua",),
    "jsdt": ("app_jsdt",),
    "ruby": ("app_ruby",),
    "sqlang": ("app_sqlang",),
}


def check(project: Project) -> Iterator[Finding]:
    """All of them; nothing without a cfg."""
    if project.cfg is not None:
        yield from engine(project.cfg)


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
