"""Which functions of the KSR object the library names."""

from __future__ import annotations

import ast
from pathlib import Path

#: Not part of the message path.
_APART = {"boot", "cli", "testing", "lab", "stubs", "check"}


def called_in_source(clone: Path) -> set[str]:
    """As "pv.get", of every module that is imported inside Kamailio."""
    package = clone / "kemi"
    files = [file for file in package.rglob("*.py") if file.relative_to(package).parts[0] not in _APART]
    names = {name for file in files for name in _named(ast.parse(file.read_text()))}
    modules = {name.partition(".")[0] for name in names if "." in name}
    return names - modules


def _named(tree: ast.AST) -> set[str]:
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    chains = (
        _chain(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and id(node) not in inner
    )
    return {chain for chain in chains if chain}


def _chain(node: ast.expr) -> str:
    """pv.get for KSR.pv.get; "" for what does not begin with KSR."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return ".".join(parts) if isinstance(node, ast.Name) and node.id == "KSR" else ""
