"""What the functions of KSR mean, from the files in `docs/`: one for each sub-module of KSR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from kemi.stubs.exports import Export

CORE = "core"


@dataclass(frozen=True)
class Doc:
    """What a function does, and what its answers mean (empty where the type says it all)."""

    does: str
    gives: str


@dataclass(frozen=True)
class Family:
    """A sub-module of KSR: what it is for, and its functions by name (without the family's)."""

    about: str
    functions: Mapping[str, Doc]


@cache
def family(name: str) -> Family:
    """What is known of the sub-module ``KSR.name`` ("core": of KSR itself); empty if nothing is.

    Raises ValueError, which names the file, for one that is not in form.
    """
    path = files(__package__).joinpath("docs", f"{name}.yaml")
    if not path.is_file():
        return Family("", {})
    where = f"docs/{name}.yaml"
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(read, dict) or set(read) != {"about", "functions"}:
        raise ValueError(f"{where}: expected the keys 'about' and 'functions', found {list(read)}")
    functions = {function: _doc(f"{where}: {function}", doc) for function, doc in read["functions"].items()}
    return Family(read["about"], functions)


def doc(name: str) -> Doc | None:
    """What the function ("tm.t_relay") means; None if only its module's page says so."""
    before, _, function = name.rpartition(".")
    return family(before or CORE).functions.get(function)


def page(export: Export) -> str:
    """The address of the page that documents the function's module."""
    if export.module == CORE:
        return "https://www.kamailio.org/docs/tutorials/devel/kamailio-kemi-framework/core/"
    return f"https://www.kamailio.org/docs/modules/stable/modules/{export.module}.html"


def _doc(where: str, read: object) -> Doc:
    match read:
        case str():
            return Doc(read, "")
        case {"does": str(does), "gives": str(gives), **rest} if not rest:
            return Doc(does, gives)
    raise ValueError(f"{where}: expected a text, or the texts 'does' and 'gives', found {read!r}")
