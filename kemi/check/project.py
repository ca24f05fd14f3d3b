"""What is checked together: Python files, a settings file, a kamailio.cfg."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import yaml

from kemi.check import cfg as cfg_file
from kemi.check import modules, source
from kemi.check.cfg import Cfg
from kemi.check.finding import Finding
from kemi.check.scopes import Function
from kemi.check.source import Source
from kemi.check.target import Target

SETTINGS = "kemi.yaml"
CFG = "kamailio.cfg"
BOOT = "kemi_boot.py"


class NothingToCheckError(Exception):
    """A path that is not there, or is nothing that can be checked. The text says which and what was expected."""


@dataclass
class Project:
    """The files under check and how they belong together."""

    target: Target
    defines: Sequence[str] = ()
    sources: dict[Path, Source] = field(default_factory=dict)
    settings: Path | None = None
    settings_name: str = ""
    cfg: Cfg | None = None
    #: Mistakes found while reading.
    findings: list[Finding] = field(default_factory=list)

    @property
    def served_by_kemi(self) -> bool:
        """Are the callbacks kemi's, and the Python files rules for it?"""
        script = self.cfg.script if self.cfg else None
        if self.settings is not None or (script and Path(script.args[2]).name == BOOT):
            return True
        return self.entry is None and any(self.router_classes(each) for each in self.sources.values())

    @property
    def entry(self) -> Source | None:
        """The file that app_python3 loads: the one that kamailio.cfg names, else the one with a mod_init()."""
        script = self.cfg.script if self.cfg else None
        if script is not None:
            wanted = Path(script.args[2]).name
            return next((each for path, each in self.sources.items() if path.name == wanted), None)
        alone = (each for path, each in self.sources.items() if not (path.parent / "__init__.py").exists())
        return next((each for each in alone if each.top_function("mod_init")), None)

    def folders(self, of: Source) -> list[str]:
        """Where Python looks for modules of the user's own."""
        found = [
            of.path.parents[len(_packages(of.path))],
            *([self.settings.parent] if self.settings else []),
        ]
        return [str(path) for path in dict.fromkeys(found)]

    def own_file(self, importing: Source, name: str) -> Path | None:
        """The file of the user's own that a module's name, ".helpers" too, means in a file; None if none of them."""
        module = name.lstrip(".")
        level = len(name) - len(module)
        folders = importing.path.parents[level - 1 : level] if level else map(Path, self.folders(importing))
        return next(filter(None, (_module_in(folder, module) for folder in folders)), None)

    def named(self, of: Source, node: ast.expr) -> tuple[Source, str] | None:
        """The file under check from which an import brought what is named here, and its name there."""
        where, name = self._origin(of, of.scopes.imported(node) or "")
        return (where, name) if where is not None else None

    def _origin(self, of: Source, name: str) -> tuple[Source | None, str]:
        """The file under check that defines what an import brought, and its name there; else the name in full.

        What a file has from an import itself is followed to where it comes from.
        """
        seen = set()
        while True:
            short = name.rpartition(".")[2]
            module = name.removesuffix(short)
            path = self.own_file(of, module.rstrip(".") or module) if module else None
            if path not in self.sources:
                return None, name
            of = self.sources[path]
            onward = of.scopes.passed_on(short)
            if onward is None or (path, onward) in seen:
                return of, short
            seen.add((path, onward))
            name = onward

    def router_classes(self, of: Source) -> list[ast.ClassDef]:
        """The classes in a file that derive from :class:`kemi.router.Router`."""
        return [cls for cls in of.classes.values() if self.inherited_rules(of, cls)]

    def inherited_rules(self, of: Source, cls: ast.ClassDef) -> dict[str, Function]:
        """The methods that a class has from kemi's Router, also through the user's own; none if it is no Router."""
        rules: dict[str, Function] = {}
        waiting, seen = [(of, cls)], {cls}
        while waiting:
            source, each = waiting.pop()
            for base in each.bases:
                brought = source.scopes.imported(base)
                where, name = self._origin(source, brought) if brought else (source, ast.unparse(base))
                if where is None:
                    rules |= modules.router(name)
                    continue
                parent = where.classes.get(name)
                if parent is not None and parent not in seen:
                    seen.add(parent)
                    waiting.append((where, parent))
        return rules

    def router_setting(self) -> tuple[str, str, int, int] | None:
        """Module, class, line and column of the setting `router`, if the settings file has one."""
        if self.settings is None:
            return None
        try:
            root = yaml.compose(self.settings.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except (yaml.YAMLError, OSError, UnicodeDecodeError, RecursionError):
            return None
        for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
            if key.value == "router" and isinstance(value, yaml.ScalarNode):
                module, _, name = value.value.partition(":")
                return module, name, value.start_mark.line + 1, value.start_mark.column + 1
        return None


def load(paths: Iterable[Path], target: Target, defines: Sequence[str] = ()) -> Project:
    """Read the files, and what they lead to: the script of a cfg, the rules of settings, modules beside them.

    Raises NothingToCheckError for a path that does not exist or holds nothing that can be checked.
    """
    project = Project(target, tuple(defines))
    for path in list(_expand(paths)):
        name = str(path)
        try:
            if path.suffix == ".py":
                _add_python(project, path, name)
            elif path.suffix in (".yaml", ".yml"):
                _require_first(project.settings_name, name)
                project.settings, project.settings_name = _absolute(path), name
                path.read_bytes()
            else:
                _require_first(project.cfg.name if project.cfg else "", name)
                project.cfg = cfg_file.read(_absolute(path), name, target, defines)
                project.findings += project.cfg.findings
        except OSError as problem:
            raise NothingToCheckError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    _follow_cfg(project)
    _follow_settings(project)
    return project


def _expand(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            if path.suffix not in (".py", ".yaml", ".yml", ".cfg"):
                raise NothingToCheckError(
                    f"{path}: expected a .py, .yaml or .cfg file, or a folder with some"
                )
            yield path
            continue
        found = [path / name for name in (SETTINGS, CFG) if (path / name).is_file()]
        if path / SETTINGS not in found:
            found += sorted(path.glob("*.py"))
        if not found:
            raise NothingToCheckError(
                f"{path}: expected {SETTINGS}, {CFG} or Python files in this folder, found none"
            )
        yield from found


def _absolute(path: Path) -> Path:
    """Where a file is, symbolic links left as they are: Python looks for modules beside the link."""
    return Path(os.path.abspath(path))


def _require_first(before: str, name: str) -> None:
    if before:
        found = f"expected one file of its kind, found {before} too"
        raise NothingToCheckError(f"{name}: {found}; check one server at a time")


def _add_python(project: Project, path: Path, name: str) -> None:
    found = _absolute(path)
    if found in project.sources:
        return
    read = source.read(found, name)
    if isinstance(read, Finding):
        project.findings.append(read)
        return
    project.sources[found] = read
    for neighbour in _neighbours(project, read):
        _add_python(project, neighbour, _shown(neighbour, found, name))


def _shown(path: Path, beside: Path, name: str) -> str:
    """How findings call a file, where they call another one `name`."""
    return os.path.normpath(Path(name).parent / os.path.relpath(path, beside.parent))


def _neighbours(project: Project, importing: Source) -> Iterator[Path]:
    """Files of the user's own that a file imports, and those of the packages that it is in, which Python runs first."""
    for node in ast.walk(importing.tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            within = f"{module}." if node.module else module
            names = [module] if node.module else []
            names += [within + alias.name for alias in node.names]
        yield from filter(None, (project.own_file(importing, name) for name in names))
    yield from (folder / "__init__.py" for folder in _packages(importing.path))


def _packages(path: Path) -> list[Path]:
    """The folders of the packages that a file is in, from the inside out."""
    return list(takewhile(lambda folder: (folder / "__init__.py").is_file(), path.parents))


def _module_in(folder: Path, name: str) -> Path | None:
    """The file of a module in a folder; a package comes before a module of its name, as in Python."""
    place = folder.joinpath(*name.split("."))
    found = (place / "__init__.py", Path(f"{place}.py"))
    return next((path for path in found if path.is_file()), None)


def _follow_cfg(project: Project) -> None:
    if project.cfg is None:
        return
    script = project.cfg.script
    if script is not None:
        path = Path(script.args[2])
        known = {each.name for each in project.sources}
        if path.name != BOOT and path.name not in known and path.is_file():
            _add_python(project, path, str(path))
    settings = project.cfg.defines.get("KEMI_SETTINGS", "").strip('"')
    if project.settings is None and settings and Path(settings).is_file():
        project.settings, project.settings_name = _absolute(Path(settings)), settings


def _follow_settings(project: Project) -> None:
    router = project.router_setting()
    if router is None or project.settings is None:
        return
    path = _module_in(project.settings.parent, router[0])
    if path is not None:
        _add_python(project, path, _shown(path, project.settings, project.settings_name))


def methods(cls: ast.ClassDef) -> dict[str, Function]:
    """The methods that a class defines itself."""
    return {node.name: node for node in cls.body if isinstance(node, Function)}
