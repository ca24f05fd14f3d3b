"""K601, K602, K105: the settings file and the class that it names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from kemi import settings_file
from kemi.check import modules
from kemi.check.codes import CODES
from kemi.check.finding import Finding
from kemi.check.project import Project
from kemi.settings_file import SettingsError

_PLACE = re.compile(r"[^:]*:(\d+): (.*)", re.DOTALL)
_YAML_PLACE = re.compile(r"line (\d+), column (\d+)")


def check(project: Project) -> Iterator[Finding]:
    """All of them; nothing without a settings file."""
    if project.settings is None:
        return
    try:
        settings_file.load(project.settings)
    except SettingsError as problem:
        for line in str(problem).splitlines():
            yield _wrong(project, line)
    router = project.router_setting()
    if router is not None:
        yield from _router(project, *router)


def _wrong(project: Project, text: str) -> Finding:
    line, column = 1, 1
    place, yaml_place = _PLACE.fullmatch(text), list(_YAML_PLACE.finditer(text))
    if place is not None:
        line, text = int(place[1]), place[2]
    elif yaml_place:
        # The last place that PyYAML names is where it stopped.
        line, column = int(yaml_place[-1][1]), int(yaml_place[-1][2])
    text = text.removeprefix(f"{project.settings}: ").removeprefix(f"{Path(project.settings_name).name}: ")
    what, _, fix = text.rpartition("; ")
    why = "settings that do not fit stop the start; at a reload the old ones stay"
    fix = fix if what else "docs/settings.md has every key"
    return _finding(project, "K601", line, column, what or text, why, fix)


def _finding(project: Project, code: str, line: int, column: int, what: str, why: str, fix: str) -> Finding:
    return Finding(project.settings_name, line, column, code, what, why, fix, CODES[code].severity)


def _router(project: Project, module: str, name: str, line: int, column: int) -> Iterator[Finding]:
    assert project.settings is not None
    if not module or not name:
        why = "kemi imports the module and takes the class from it"
        yield _finding(
            project, "K602", line, column, "expected module:Class", why, "such as: router: routes:Routes"
        )
        return
    folder = project.settings.parent
    path = folder.joinpath(*module.split(".")).with_suffix(".py")
    if modules.comes_first(module, [str(folder)]) and path.is_file() and modules.own(module) is None:
        whose = "Python's own" if modules.is_standard(module) else "an installed"
        why = "the folder of the settings comes last on sys.path, so the other one is found first"
        fix = "give the file another name"
        yield _finding(project, "K105", line, column, f"there is {whose} module '{module}'", why, fix)
        return
    spec = modules.find(module, [str(folder)])
    if spec is None:
        why = "kemi imports it at the start, which fails"
        what, fix = (
            f"module '{module}' is not found",
            f"create {path.name} beside the settings, or correct the name",
        )
        yield _finding(project, "K602", line, column, what, why, fix)
        return
    of = project.sources.get(path)
    if of is None:
        return  # installed elsewhere, or with a syntax error that is reported already
    cls = of.classes.get(name)
    names = modules.names_in(of.path)
    if cls is None and names is not None and name not in names:
        close = ", ".join(of.classes) or "no class"
        what, why = f"{module}.py has no class '{name}'", "kemi takes the class from the module at the start"
        yield _finding(project, "K602", line, column, what, why, f"it has: {close}")
    elif cls is not None and not _may_be_router(cls):
        what, why = f"{name} is no subclass of kemi.router.Router", "kemi refuses to start with it"
        yield _finding(project, "K602", line, column, what, why, f"class {name}(Router):")


def _may_be_router(cls: ast.ClassDef) -> bool:
    return any(not (isinstance(base, ast.Name) and base.id == "object") for base in cls.bases)
