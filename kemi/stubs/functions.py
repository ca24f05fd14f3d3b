"""The functions of KSR over all versions: when each came and went, and how it is written down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from kemi.stubs import meaning
from kemi.stubs.exports import Export, exports, known_in, versions

_PARAMS = {"str": "str", "int": "int", "long": "int"}


@dataclass(frozen=True)
class Function:
    """A function of KSR; `since` and `until` are its first and last version, empty where it has neither.

    A conditional one is there for the versions in between only, others always.
    """

    export: Export
    since: str
    until: str
    conditional: bool

    @property
    def name(self) -> str:
        """Its name within its family."""
        return self.export.name.rpartition(".")[2]

    @property
    def parameters(self) -> list[str]:
        """Its parameters as Python writes them."""
        named = zip(self.export.param_names, self.export.params, strict=True)
        return [f"{name}: {_PARAMS[kind]}" for name, kind in named]

    @property
    def origin(self) -> str:
        """The module it is from, and the versions that have it, if not all do."""
        where = f"Module {self.export.module}" if self.export.module != meaning.CORE else "Core"
        if self.since:
            where += f", since Kamailio {self.since}"
        if self.until:
            where += f", up to Kamailio {self.until}"
        return where


def of_every_version() -> list[Function]:
    """All functions of all versions."""
    newest = {name: export for version in versions() for name, export in exports(version).items()}
    return [function_of(export, conditional=True) for export in newest.values()]


def function_of(export: Export, *, conditional: bool) -> Function:
    """That function with what is known of its versions; one that no version has counts as of all."""
    having = known_in(export.name) or versions()
    since = "" if having[0] == versions()[0] else having[0]
    until = "" if having[-1] == versions()[-1] else having[-1]
    return Function(export, since, until, conditional)


def by_family(functions: Iterable[Function]) -> dict[str, list[Function]]:
    """The functions of each sub-module of KSR ("core": of KSR itself), all in alphabetical order."""
    families: dict[str, list[Function]] = defaultdict(list)
    for function in sorted(functions, key=lambda function: function.export.name):
        families[function.export.name.rpartition(".")[0] or meaning.CORE].append(function)
    return dict(sorted(families.items()))
