"""Finds modules as Python inside Kamailio would, without running any of them."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
import sys
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import kemi
from kemi.check import source
from kemi.check.scopes import Function
from kemi.check.source import Source

KEMI = Path(kemi.__file__).resolve().parent
#: Where kemi is installed; kemi_boot.py puts that first on sys.path, with all that is installed beside it.
HOME = str(KEMI.parent)
ROUTER = "kemi.router.Router"
_SYSTEM_PYTHON = "/usr/bin/python3"


def find(name: str, folders: list[str]) -> ModuleSpec | None:
    """The spec of a module by its full name, looked for in `folders` first; None if it is nowhere."""
    top, *rest = name.split(".")
    spec = PathFinder.find_spec(top, folders) or _installed(top) or PathFinder.find_spec(top, _system_path())
    full = top
    for part in rest:
        if spec is None:
            return None
        if spec.submodule_search_locations is None:
            # Such as os.path: no package, but it may put a module of that name into place.
            return spec if top in sys.stdlib_module_names else None
        full = f"{full}.{part}"
        spec = PathFinder.find_spec(full, list(spec.submodule_search_locations))
    return spec


def is_standard(name: str) -> bool:
    """Is it a module of Python's own library?"""
    return name.partition(".")[0] in sys.stdlib_module_names


def comes_first(name: str, folders: list[str]) -> bool:
    """Does Python inside Kamailio have such a module, its own or an installed one, that comes before `folders`?"""
    top, own = name.partition(".")[0], {Path(folder).resolve() for folder in folders}
    places = [place for place in (HOME, *_system_path()) if Path(place).resolve() not in own]
    spec = None if is_standard(name) else PathFinder.find_spec(top, places)
    return is_standard(name) or (spec is not None and spec.origin is not None)


def _installed(top: str) -> ModuleSpec | None:
    try:
        # For a top-level name this imports nothing.
        return importlib.util.find_spec(top)
    except ValueError:
        return None  # a module that something has put into sys.modules by hand


@cache
def _system_path() -> tuple[str, ...]:
    """Where the system's Python, which Kamailio embeds, has its packages."""
    program = shutil.which(_SYSTEM_PYTHON)
    if program is None:
        return ()
    command = [program, "-I", "-c", "import sys; print('\\n'.join(sys.path))"]
    return tuple(subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines())


def names_in(path: Path) -> frozenset[str] | None:
    """The names that a module has once it is imported; None if that cannot be told from its text."""
    found = source.read(path, str(path))
    if not isinstance(found, Source):
        return None
    names = found.scopes.names_of_module()
    for node in ast.walk(found.tree):
        match node:
            case ast.alias(name="*") | ast.Call(func=ast.Name(id="globals" | "setattr" | "exec")):
                return None
    return None if "__getattr__" in names else names | {"__name__", "__file__", "__doc__", "__path__"}


@cache
def own(name: str) -> Source | None:
    """A module of kemi's by its full name, read and not imported: most need KSR. None if there is none."""
    path = KEMI / f"{name.removeprefix('kemi.')}.py"
    found = source.read(path, path.name) if name.startswith("kemi.") and path.is_file() else None
    return found if isinstance(found, Source) else None


@cache
def library(module: str, cls: str) -> dict[str, Function]:
    """The methods of a class of kemi's, such as ("kemi.router", "Router")."""
    found = own(module)
    assert found is not None
    return {node.name: node for node in found.classes[cls].body if isinstance(node, Function)}


@cache
def router(name: str) -> dict[str, Function]:
    """The methods of a class of kemi's that is a Router, such as "kemi.edge.Edge", inherited ones too; else none."""
    module, _, cls = name.rpartition(".")
    found = own(module)
    if found is None or cls not in found.classes:
        return {}
    inherited: dict[str, Function] = {}
    for base in found.classes[cls].bases:
        inherited |= router(found.scopes.imported(base) or f"{module}.{ast.unparse(base)}")
    return inherited | library(module, cls) if inherited or name == ROUTER else {}
