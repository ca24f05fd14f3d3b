"""What the code knows: rules in their order, defines, values, callbacks, commands.

    ```{rules} kemi.router.Router
    ```

Each directive writes Markdown, mostly a table, which is parsed as if it stood in the page.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from kemi.cli.main import COMMANDS, main
from kemi.features import Features
from kemi.handler import Handler

CFG = Path(__file__).parents[2] / "kamailio.cfg"
_RULE = re.compile(r"self\.(?P<name>\w+),\s*#\s*(?P<about>.+)")
_DEFINE = re.compile(r"\bWITH_\w+")
_HEAD = re.compile(r"^#   (?P<names>(?:\w+, )*\w+)  +(?P<about>.+)$", re.MULTILINE)
_PAGE = re.compile(r"\(docs/(?P<page>\w+)\.md\)")


def table(*columns: str, rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown. Raises LookupError without rows: then its source has another form than expected."""
    lines = [_row(columns), _row("---" for _ in columns), *map(_row, rows)]
    if len(lines) == 2:
        raise LookupError(
            f"expected rows for a table with {columns}, found none; see docs/_ext/kemi_tables.py"
        )
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def rules(router: str) -> str:
    """The rules of a router in their order, with what the comments in ``rules()`` say."""
    module, _, name = router.rpartition(".")
    cls = getattr(import_module(module), name)

    switches = {item.name: item.metadata.get("define") for item in fields(Features)}
    newer = {
        item.name: f"Kamailio {item.metadata['since']}"
        for item in fields(Features)
        if "since" in item.metadata
    }

    def rows() -> Iterator[tuple[str, ...]]:
        found = _RULE.finditer(inspect.getsource(cls.rules))
        for number, rule in enumerate(found, 1):
            method = getattr(cls, rule["name"])
            owner = method.__qualname__.partition(".")[0]
            link = f"{{py:meth}}`{rule['name']} <{method.__module__}.{owner}.{rule['name']}>`"
            condition = getattr(method, "condition", None)
            methods = sorted(condition.methods) if condition else []
            where = condition.where if condition else ""
            needs = [*filter(None, [switches.get(where)]), *_DEFINE.findall(method.__doc__ or "")]
            yield (
                f"{number}. {link}",
                rule["about"],
                ", ".join(methods) or "all",
                newer.get(where) or ", ".join(map(code, dict.fromkeys(needs))) or "—",
            )

    return table("rule", "what for", "of requests", "with", rows=rows())


def callbacks(_argument: str) -> str:
    """What Kamailio calls, and what it leads to."""

    def rows() -> Iterator[tuple[str, ...]]:
        for name, method in inspect.getmembers(Handler, inspect.isfunction):
            if name.startswith("ksr_") or name == "child_init":
                overrides = re.findall(r"self\.router\.((?:on_|start)\w*)\(", inspect.getsource(method))
                links = [f"{{py:meth}}`Router.{rule}() <kemi.router.Router.{rule}>`" for rule in overrides]
                if name == "ksr_request_route":
                    links = ["{py:meth}`Router.rules() <kemi.router.Router.rules>`"]
                yield f"`{name}`", first_line(method), ", ".join(links) or "—"

    return table("callback", "called for", "yours to override", rows=rows())


def defines(_argument: str) -> str:
    """The switches of kamailio.cfg, with the modules that the routes behind them need."""
    modules = {item.metadata.get("define"): item.metadata.get("modules", ()) for item in fields(Features)}

    def rows() -> Iterator[tuple[str, ...]]:
        for line in _HEAD.finditer(CFG.read_text(encoding="utf-8")):
            names = [name for name in line["names"].split(", ") if name.startswith("WITH_")]
            needs = [module for name in names for module in modules.get(name, ())]
            if names:
                yield ", ".join(map(code, names)), escape(line["about"]), ", ".join(map(code, needs)) or "—"

    return table("define", "what it switches on", "modules", rows=rows())


def values(_argument: str) -> str:
    """What kamailio.cfg takes by name, with the defaults and the comments above them."""

    def rows() -> Iterator[tuple[str, ...]]:
        about, switch, condition, used = "", "", "", False
        for line in CFG.read_text(encoding="utf-8").splitlines():
            word, *rest = line.split(None, 2)[:3] or [""]
            if word == "#!trydef" and not rest[0].startswith("WITH_"):
                yield code(rest[0]), f"{code(rest[1])}{condition}", escape(about) or "—"
                used = True
            elif word in ("#!ifdef", "#!else", "#!endif"):
                switch = rest[0] if rest else switch
                condition = {"#!ifdef": f" with `{switch}`", "#!else": f" without `{switch}`"}.get(word, "")
                about = ""
            elif word == "#":
                about, used = line[2:] if used else f"{about} {line[2:]}".strip(), False
            elif not word.startswith("#!"):
                about = ""

    return table("name", "default", "meaning", rows=rows())


def commands(_argument: str) -> str:
    """The commands of `kemi`, each as sphinx-click shows it."""
    context = click.Context(main)
    blocks = []
    for name in main.list_commands(context):
        module, _, attribute = COMMANDS[name][0].partition(":") if name in COMMANDS else ("", "", "")
        place = f"{module}:{attribute}" if module else f"kemi.cli.main:{name.replace('-', '_')}"
        blocks.append(f"```{{eval-rst}}\n.. click:: {place}\n   :prog: kemi {name}\n   :nested: full\n```\n")
    return "\n".join(blocks)


def first_line(item: object) -> str:
    """The first sentence of a docstring, as Markdown."""
    text = (inspect.getdoc(item) or "").partition("\n\n")[0].replace("\n", " ")
    return re.sub(r":\w+:`([^`]+)`", r"`\1`", text).replace("``", "`")


def code(text: str) -> str:
    """As code."""
    return f"`{text}`"


def escape(text: str) -> str:
    """A comment of kamailio.cfg as Markdown, with names as code and pages as links."""
    text = re.sub(r"\b[A-Z]+(?:_[A-Z0-9]+)+\b", r"`\g<0>`", text).replace("<", r"\<")
    return _PAGE.sub(r"([more](../\g<page>.md))", text)


class Table(SphinxDirective):
    """Base of the directives: one optional argument, given to `make`."""

    optional_arguments = 1
    make: Callable[[str], str]

    def run(self) -> list[nodes.Node]:
        """Called by Sphinx."""
        self.env.note_dependency(str(CFG))
        self.env.note_dependency(__file__)
        text = type(self).make(self.arguments[0] if self.arguments else "")
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    for make in (rules, callbacks, defines, values, commands):
        app.add_directive(make.__name__, type(make.__name__, (Table,), {"make": staticmethod(make)}))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
