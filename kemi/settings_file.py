"""From a YAML file to :class:`kemi.settings.Settings`; all mistakes are named, each with file, line, key and remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from kemi.settings import PROFILES, Settings, profile


class SettingsError(Exception):
    """The server cannot start like this. The text says where, what was expected, what was found, what to do.

    A line for each mistake.
    """


def load(path: Path | None) -> Settings:
    """The settings in the file; the defaults without a file.

    Raises SettingsError for a file that cannot be read, is not YAML, or says what the schema does not know.
    """
    if path is None:
        return Settings()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: expected the settings file named by KEMI_SETTINGS, found no such file; "
            "create it (an empty one means all defaults) or correct the define"
        ) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{path}: expected a readable UTF-8 file, found: {problem}") from None
    return parse(text, path.name)


def parse(text: str, name: str) -> Settings:
    """The settings in a YAML text; ``name`` stands in error messages."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as problem:
        raise SettingsError(f"{name}: expected YAML, found: {' '.join(str(problem).split())}") from None
    except RecursionError:
        raise SettingsError(
            f"{name}: expected sections with keys and values, found something nested too deeply to be read; "
            "docs/settings.md has every key"
        ) from None
    if root is None:
        return Settings()
    reader = _Reader(name)
    settings = reader.section(Settings, root, profile(reader.profile_name(root)), "")
    if reader.mistakes:
        raise SettingsError("\n".join(reader.mistakes))
    assert isinstance(settings, Settings)
    return settings


class _Reader:
    """Walks the YAML nodes, which still know their lines, along the dataclasses."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.mistakes: list[str] = []

    def profile_name(self, root: yaml.Node) -> str:
        for key, value in self._entries(root, ""):
            # What is no profile is told where all values are looked at.
            if key.value == "profile" and value.value in PROFILES:
                return str(value.value)
        return "default"

    def section(self, cls: type, node: yaml.Node, defaults: object, path: str) -> object:
        """An instance of the dataclass ``cls``; keys that are missing or wrong keep their defaults."""
        hints = get_type_hints(cls)
        known = {item.name: item for item in fields(cls)}
        values = {name: getattr(defaults, name) for name in known}
        seen: set[str] = set()
        for key_node, value_node in self._entries(node, path):
            key = str(key_node.value)
            full = f"{path}.{key}" if path else key
            try:
                if key not in known:
                    raise self._error(key_node, full, f"unknown key; {_suggest(key, known)}")
                if key in seen:
                    raise self._error(key_node, full, "expected each key once, found it again; remove one")
                values[key] = self._value(hints[key], value_node, values[key], full, known[key].metadata)
            except SettingsError as mistake:
                self.mistakes.append(str(mistake))
            seen.add(key)
        return cls(**values)

    def _value(self, kind: Any, node: yaml.Node, default: object, path: str, limits: Any) -> object:
        if is_dataclass(kind):
            assert isinstance(kind, type)
            return self.section(kind, node, default, path)
        if get_origin(kind) is Literal:
            return self._choice(node, get_args(kind), path)
        if get_origin(kind) is tuple:
            if not isinstance(node, yaml.SequenceNode):
                raise self._error(node, path, f"expected a list, found {_describe(node)}; write [a, b]")
            return tuple(self._value(get_args(kind)[0], item, None, path, {}) for item in node.value)
        return self._scalar(kind, node, path, limits)

    def _scalar(self, kind: type, node: yaml.Node, path: str, limits: Any) -> object:
        expected = {bool: "true or false", int: "a whole number", str: "a text"}[kind]
        value = yaml.SafeLoader("").construct_object(node, deep=True)
        # In YAML and in Python `true` would also do for 1.
        if type(value) is not kind:
            raise self._error(node, path, f"expected {expected}, found {_describe(node)}")
        if isinstance(value, int):
            low, high = limits.get("minimum"), limits.get("maximum")
            if low is not None and value < low:
                raise self._error(node, path, f"expected {low} or more, found {value}")
            if high is not None and value > high:
                raise self._error(node, path, f"expected {high} or less, found {value}")
        return value

    def _choice(self, node: yaml.Node, choices: tuple[str, ...], path: str) -> str:
        found = node.value if isinstance(node, yaml.ScalarNode) else None
        if found not in choices:
            what = "test" if path == "nat.tests" else "value"
            shown = repr(found) if found is not None else _describe(node)
            raise self._error(node, path, f"unknown {what} {shown}; {_suggest(str(found), choices)}")
        return str(found)

    def _entries(self, node: yaml.Node, path: str) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null"):
            return []  # `nat:` with nothing below it
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, path or "(top)", f"expected keys and values, found {_describe(node)}")
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, path or "(top)", f"expected a name as key, found {_describe(key)}")
        return list(node.value)

    def _error(self, node: yaml.Node, path: str, text: str) -> SettingsError:
        return SettingsError(f"{self._name}:{node.start_mark.line + 1}: {path}: {text}")


def _describe(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if isinstance(node, yaml.MappingNode):
        return "keys and values"
    return repr(node.value) if node.value != "" else "nothing"


def _suggest(found: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(found, names, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return "expected one of: " + ", ".join(names)
