"""What a test wants of the fixtures: its markers ``@pytest.mark.kemi(...)``, over the ini file for all tests."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest

from kemi.stubs.exports import versions

MARKER = "kemi"
_DEFINE = re.compile(r"\bWITH_\w+")
_INCLUDE = re.compile(r'^include_file "(.+)"$', re.MULTILINE)


@dataclass(frozen=True)
class Options:
    """The arguments of the marker; paths are relative to the folder of the ini file.

    The closest marker decides, argument by argument.
    """

    #: Switches of kamailio.cfg, and texts or numbers that it takes by name: {"PSTN_GW_IP": "203.0.113.5"}.
    defines: tuple[str, ...] = ()
    values: Mapping[str, str | int] = field(default_factory=dict)
    #: kemi.yaml, which names the router class in the module beside it; None for the library's own routes.
    settings: Path | None = None
    #: kamailio.cfg; None for the library's.
    cfg: Path | None = None
    #: Passwords by user.
    users: Mapping[str, str] = field(default_factory=dict)
    #: The fake only: the Kamailio that it plays, its addresses and domains, modules and htables besides kamailio.cfg's.
    version: str = "5.6"
    own: tuple[str, ...] = ("203.0.113.1:5060", "example.com")
    modules: tuple[str, ...] = ()
    htables: tuple[str, ...] = ()


class OptionsError(ValueError):
    """A marker or the ini file asks for what does not exist."""


def options_of(request: pytest.FixtureRequest) -> Options:
    """Raises OptionsError for an argument, a file, a define or a version that does not exist."""
    config = request.config
    chosen: dict[str, Any] = {
        "defines": tuple(config.getini("kemi_defines")),
        "settings": config.getini("kemi_settings") or None,
        "cfg": config.getini("kemi_cfg") or None,
        "version": config.getini("kemi_version"),
    }
    if not chosen["settings"] and (config.rootpath / "kemi.yaml").exists():
        chosen["settings"] = "kemi.yaml"
    known = [item.name for item in fields(Options)]
    for marker in reversed(list(request.node.iter_markers(MARKER))):
        for name in marker.kwargs:
            if name not in known:
                raise OptionsError(f"@pytest.mark.kemi: unknown argument {name}; {_suggest(name, known)}")
        if marker.args:
            raise OptionsError(f"@pytest.mark.kemi: expected arguments by name, found {marker.args!r}")
        chosen |= marker.kwargs
    for name in ("settings", "cfg"):
        if chosen[name]:
            chosen[name] = _file(config.rootpath, name, chosen[name])
    if chosen["version"] not in versions():
        raise OptionsError(
            f"kemi_version: expected one of {', '.join(versions())}, found {chosen['version']!r}"
        )
    options = Options(**chosen)
    _check_defines(options)
    return options


def _file(folder: Path, name: str, path: str | Path) -> Path:
    found = folder / path
    if not found.is_file():
        raise OptionsError(f"kemi_{name}: expected a file, found none: {found}; correct the path")
    return found


def _check_defines(options: Options) -> None:
    """A switch that nobody reads would leave a test without what it wants to test."""
    from kemi.cli.paths import product_file

    known = set(_DEFINE.findall(cfg_text(options.cfg or product_file("kamailio.cfg"))))
    for define in options.defines:
        if define.startswith("WITH_") and define not in known:
            raise OptionsError(f"kemi_defines: kamailio.cfg knows no {define}; {_suggest(define, known)}")


def cfg_text(path: Path) -> str:
    """A kamailio.cfg with what it includes by a path relative to its folder."""
    text = path.read_text()
    return "\n".join([*(cfg_text(path.parent / name) for name in _INCLUDE.findall(text)), text])


def _suggest(found: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(found, names, 1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
