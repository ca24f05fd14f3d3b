"""The reference of KSR as Markdown: a page for each sub-module whose functions are explained."""

from __future__ import annotations

from kemi.stubs import meaning
from kemi.stubs.functions import Function, by_family, of_every_version
from kemi.stubs.results import CODE, result

_INDEX = f"""\
# Functions of KSR

What Kamailio gives to Python, sub-module by sub-module. An answer of type `{CODE}` is a number: above 0 is yes, below
0 is no, 0 means stop. Functions of other modules are described on the pages of their modules.

| | |
|---|---|
"""


def pages() -> dict[str, str]:
    """File name to text: `index.md`, and a page for each explained sub-module."""
    found: dict[str, str] = {}
    index = _INDEX
    for name, functions in by_family(of_every_version()).items():
        family = meaning.family(name)
        if not family.functions:
            continue
        title = "KSR" if name == meaning.CORE else f"KSR.{name}"
        found[f"{name}.md"] = "\n".join([f"# {title}\n\n{family.about}\n", *map(_section, functions)])
        index += f"| [`{title}`]({name}.md) | {family.about} |\n"
    return {"index.md": index, **found}


def _section(function: Function) -> str:
    export = function.export
    signature = f"KSR.{export.name}({', '.join(function.parameters)}) -> {result(export)}"
    known = meaning.doc(export.name)
    does = known.does if known else ""
    answer = f"\nAnswer: {known.gives}.\n" if known and known.gives else ""
    module = f"[{function.origin}]({meaning.page(export)})"
    return f"## {function.name}\n\n    {signature}\n\n{does}\n{answer}\n{module}\n"
