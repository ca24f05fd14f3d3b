"""K102 to K106: modules that are not there, or are not the ones meant."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import FrozenImporter
from pathlib import Path

from kemi.check import modules
from kemi.check.finding import Finding
from kemi.check.project import Project
from kemi.check.source import Source

# Modules of Python's own that no program imports, so files of that name harm nobody.
_NEVER_IMPORTED = frozenset(
    {
        "antigravity",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "test",
        "this",
        "tkinter",
        "turtle",
        "turtledemo",
        "venv",
    }
)
_GUARDS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def check(project: Project) -> Iterator[Finding]:
    """All of them, for every file."""
    for source in project.sources.values():
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Import | ast.ImportFrom) and not _is_guarded(source, node):
                yield from _statement(project, source, node)
    entry = project.entry
    if entry is not None and not project.served_by_kemi:
        yield from _hidden(entry)
        yield from _entry_name(entry)
        for source in project.sources.values():
            # The names of other modules are found before the file, or _hidden() has them.
            other = modules.is_standard(source.path.stem) or source.path.stem in _brought(project)
            if source.path.parent == entry.path.parent and not other:
                yield from _own_name(source)


def _statement(project: Project, source: Source, node: ast.Import | ast.ImportFrom) -> Iterator[Finding]:
    folders = project.folders(source)
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _module(project, source, alias, alias.name, folders)
        return
    if node.level and not (source.path.parent / "__init__.py").exists():
        yield source.finding(
            node,
            "K102",
            f"a relative import in a file that is in no package: {source.segment(node)}",
            "Kamailio imports the file by its base name, as a module of its own",
            f"name the module: from {node.module or 'module'} import ...",
        )
    if node.level > 1 or not node.module:
        return
    if node.level:
        folders = [str(source.path.parent)]
    if node.module.partition(".")[0] in _brought(project) or (
        node.level and not (source.path.parent / "__init__.py").exists()
    ):
        return
    missing = list(_module(project, source, node, node.module, folders))
    yield from missing
    spec = None if missing else modules.find(node.module, folders)
    if (
        spec is None
        or not spec.origin
        or not spec.origin.endswith(".py")
        or not _is_own(spec.origin, folders)
    ):
        return
    names = modules.names_in(Path(spec.origin))
    for alias in node.names:
        if names is None or alias.name in names or alias.name == "*":
            continue
        if spec.submodule_search_locations and modules.find(f"{node.module}.{alias.name}", folders):
            continue
        yield source.finding(
            alias,
            "K103",
            f"module {node.module} has no name '{alias.name}'",
            "the import raises ImportError, so these routes cannot be loaded",
            f"correct the name; {Path(spec.origin).name} defines what can be imported",
        )


def _module(
    project: Project, source: Source, node: ast.AST, name: str, folders: list[str]
) -> Iterator[Finding]:
    top = name.partition(".")[0]
    relative = isinstance(node, ast.ImportFrom) and node.level > 0
    beside = not relative and any((Path(folder) / f"{top}.py").is_file() for folder in folders)
    if top in _brought(project):
        return
    if beside and project.served_by_kemi and modules.comes_first(top, folders):
        whose = "Python's own" if modules.is_standard(top) else "an installed"
        yield source.finding(
            node,
            "K105",
            f"{whose} module '{top}' is imported here, not the {top}.py beside the settings",
            "the folder of the settings comes last on sys.path, so the other one is found first",
            f"rename {top}.py, and import it by its new name",
        )
        return
    if modules.is_standard(top):
        return
    if modules.find(name, folders) is None and not _changes_path(source):
        yield source.finding(
            node,
            "K102",
            f"module '{name}' is not found",
            f"looked in {', '.join(folders)}, in this Python and in the system's, which Kamailio embeds",
            "correct the name, or install the package for the system's Python",
        )


def _changes_path(source: Source) -> bool:
    """Does the file itself say where else modules are?"""
    return any(
        isinstance(node, ast.Attribute) and source.scopes.imported(node) == "sys.path"
        for node in ast.walk(source.tree)
    )


def _brought(project: Project) -> tuple[str, ...]:
    """The modules that app_python3 itself brings."""
    return ("KSR", "Router") if project.target.major < 6 else ("KSR",)


def _is_own(origin: str, folders: list[str]) -> bool:
    path = Path(origin).resolve()
    if (
        any(part in ("site-packages", "dist-packages") for part in path.parts)
        and modules.KEMI not in path.parents
    ):
        return False
    return modules.KEMI in path.parents or any(Path(folder) in path.parents for folder in folders)


def _is_guarded(source: Source, node: ast.AST) -> bool:
    """Is the import expected to fail, or only there for a type checker?"""
    inside = node
    for outer in source.scopes.around(node):
        if isinstance(outer, ast.Try) and inside in outer.body:
            for handler in outer.handlers:
                kinds = (
                    [ast.unparse(kind) for kind in ast.walk(handler.type)] if handler.type else ["Exception"]
                )
                if _GUARDS & set(kinds):
                    return True
        if isinstance(outer, ast.If) and "TYPE_CHECKING" in ast.unparse(outer.test):
            return True
        inside = outer
    return False


def _hidden(entry: Source) -> Iterator[Finding]:
    folder = entry.path.parent
    imported = {name for node in ast.walk(entry.tree) for name in _imported_names(node)}
    for path in sorted(folder.iterdir()):
        name = path.stem if path.suffix == ".py" else path.name
        if not (path.suffix == ".py" or (path / "__init__.py").is_file()) or path == entry.path:
            continue
        if name == "yaml" or (_can_be_hidden(name) and (name in imported or name not in _NEVER_IMPORTED)):
            yield entry.finding(
                entry.tree,
                "K104",
                f"{path.name} beside this file hides Python's module '{name}'",
                "the folder of the loaded file comes first on sys.path, so every `import "
                f"{name}` in this Kamailio gets that file",
                f"rename {path.name}, or put the loaded file into a folder of its own",
            )


def _imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    return [node.module.partition(".")[0]] if isinstance(node, ast.ImportFrom) and node.module else []


def _can_be_hidden(name: str) -> bool:
    """Is it a standard module that is found by path? Those built in or frozen come before any path."""
    if name not in sys.stdlib_module_names or name in sys.builtin_module_names:
        return False
    return FrozenImporter.find_spec(name) is None


def _entry_name(entry: Source) -> Iterator[Finding]:
    stem = entry.path.stem
    if stem in sys.stdlib_module_names or stem in ("KSR", "yaml"):
        yield entry.finding(
            entry.tree,
            "K104",
            f"the loaded file has the name of the module '{stem}'",
            "Kamailio imports it by its base name: it gets the other module, or everyone else gets this file",
            "give the file a name that no module has",
        )
    elif "." in stem:
        yield entry.finding(
            entry.tree,
            "K106",
            f"'{stem}' cannot be imported: a dot separates packages",
            "Kamailio imports the file by its base name",
            f"rename it to {stem.replace('.', '_')}.py",
        )


def _own_name(source: Source) -> Iterator[Finding]:
    """Imports by which a file gets itself, where it wants another module of its name."""
    stem, defined = source.path.stem, modules.names_in(source.path)
    lacks = defined is not None and any(
        isinstance(node, ast.Attribute)
        and source.scopes.imported(node) == f"{stem}.{node.attr}"
        and node.attr not in defined
        for node in ast.walk(source.tree)
    )
    for node in ast.walk(source.tree):
        # While a file is loaded it has nothing to give yet; what it may give later, K103 knows.
        early = (
            isinstance(node, ast.ImportFrom) and not node.level and source.scopes.parent(node) is source.tree
        )
        if stem not in _imported_names(node) or _is_guarded(source, node):
            continue
        if early or (lacks and isinstance(node, ast.Import)):
            yield source.finding(
                node,
                "K104",
                f"{source.path.name} imports its own name: it gets itself, not another module '{stem}'",
                "the folder of the loaded file comes first on sys.path, so what only the other module has is missing",
                f"rename {source.path.name}, so that `import {stem}` finds the other module",
            )
