"""`kemi settings`: the reference of the settings, from the code that reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from kemi.settings import Settings, profile


@click.command()
def settings() -> None:
    """Print the reference of the settings as Markdown."""
    click.echo(reference(), nl=False)


def reference() -> str:
    """The table of docs/settings.md: key, type, default, default under ``profile: stock``, meaning."""
    lines = ["| key | type | default | stock | meaning |", "|---|---|---|---|---|"]
    for key, kind, default, stock, text in _rows(Settings, Settings(), profile("stock"), ""):
        shown = "same" if default == stock else f"`{_yaml(stock)}`"
        lines.append(f"| `{key}` | {_type(kind)} | `{_yaml(default)}` | {shown} | {text} |")
    return "\n".join(lines) + "\n"


def _rows(cls: Any, default: Any, stock: Any, path: str) -> Iterator[tuple[str, Any, Any, Any, str]]:
    hints = get_type_hints(cls)
    for item in fields(cls):
        key, kind = f"{path}{item.name}", hints[item.name]
        values = getattr(default, item.name), getattr(stock, item.name)
        if is_dataclass(kind):
            yield from _rows(kind, *values, f"{key}.")
        else:
            yield key, kind, *values, item.metadata["doc"]


def _type(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return "list of " + ("texts" if get_args(kind)[0] is str else _type(get_args(kind)[0]))
    return {bool: "true, false", int: "whole number", str: "text"}[kind]


def _yaml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
