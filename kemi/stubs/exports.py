"""What each Kamailio exports to KEMI: names, parameter types, return type and the module to load."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_SIGNATURE = re.compile(r"(?P<returns>\w+)\((?P<params>[\w, ]*)\)(?: (?P<module>\w+))?")

_PYTHON = {"str": str, "int": int, "long": int}
_RESULTS: dict[str, tuple[type, ...]] = {"bool": (bool,), "xval": (str, int, type(None))}


@dataclass(frozen=True)
class Export:
    """One function of the KSR object.

    `name` is what follows ``KSR.`` ("sl.sl_send_reply"); `params` holds "str", "int" or "long" per parameter;
    `returns` is "int", "bool", "none" or "xval" (text, number or nothing, as the value happens to be);
    `module` is the Kamailio module that must be loaded, "core" if none; `param_names` says what each parameter is
    called, for the reader: Kamailio takes them by position only.
    """

    name: str
    params: tuple[str, ...]
    returns: str
    module: str
    param_names: tuple[str, ...] = ()

    def check_arguments(self, args: tuple[object, ...]) -> None:
        """Raise TypeError or ValueError (UnicodeEncodeError is one) for what app_python3 could not pass on."""
        signature = f"KSR.{self.name}({', '.join(self.params)})"
        if len(args) != len(self.params):
            expected = f"expected {len(self.params)} arguments"
            raise TypeError(f"{signature}: {expected}, found {len(args)}: {args!r}")
        for number, (kind, value) in enumerate(zip(self.params, args, strict=True), 1):
            if not isinstance(value, _PYTHON[kind]):
                raise TypeError(f"{signature}: argument {number}: expected {kind}, found {value!r}")
            if isinstance(value, str):
                value.encode()
                if "\0" in value:
                    raise ValueError(f"{signature}: argument {number}: a NUL cannot be passed: {value!r}")

    def check_result(self, value: object) -> None:
        """Raise TypeError for a value that this function never gives."""
        expected = _RESULTS.get(self.returns, (int,))
        if not isinstance(value, expected) or (self.returns == "int" and isinstance(value, bool)):
            raise TypeError(f"KSR.{self.name} gives {self.returns}, not {value!r}")


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(files(__package__).joinpath("exports.json").read_text())
    return table


def versions() -> tuple[str, ...]:
    """Kamailio versions whose exports are known, oldest first."""
    return tuple(_table()["versions"])


@cache
def exports(kamailio: str) -> Mapping[str, Export]:
    """Every function of KSR in that version, by name.

    Raises ValueError for a version that is not one of `versions()`.
    """
    if kamailio not in versions():
        expected = ", ".join(versions())
        raise ValueError(f"no exports known for Kamailio {kamailio!r}; expected one of {expected}")
    found: dict[str, Export] = {}
    for version, changes in _table()["versions"].items():
        for name, signature in changes.items():
            if signature is None:
                del found[name]
            else:
                found[name] = _export(name, signature)
        if version == kamailio:
            break
    return found


def known_in(name: str) -> tuple[str, ...]:
    """Versions that export this function, oldest first; empty if none does."""
    return tuple(version for version in versions() if name in exports(version))


@cache
def families(kamailio: str) -> Mapping[str, frozenset[str]]:
    """The sub-modules of KSR in that version, each with the modules that export functions into it."""
    found: dict[str, set[str]] = {}
    for name, export in exports(kamailio).items():
        family, dot, _ = name.partition(".")
        if dot:
            found.setdefault(family, set()).add(export.module)
    return {family: frozenset(modules) for family, modules in found.items()}


def _export(name: str, signature: str) -> Export:
    match = _SIGNATURE.fullmatch(signature)
    if match is None:
        raise ValueError(f"exports.json: {name}: expected 'int(str table, int flags)', found {signature!r}")
    family = name.rpartition(".")[0] or "core"
    module = match["module"] or _table()["modules"].get(family, family)
    params = [param.partition(" ") for param in match["params"].split(", ")] if match["params"] else []
    kinds, names = tuple(kind for kind, _, _ in params), tuple(name for _, _, name in params)
    return Export(name, kinds, match["returns"], module, names)


@cache
def is_family(name: str) -> bool:
    """Does some version, with some module loaded, have a sub-module ``KSR.name``?"""
    return any(name in families(version) for version in versions())
