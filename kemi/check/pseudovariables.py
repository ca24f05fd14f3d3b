"""K701: names of pseudo-variables that grow in number with the traffic."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import IntEnum

from kemi.check import handler, modules
from kemi.check.finding import Finding
from kemi.check.project import Project
from kemi.check.scopes import Function
from kemi.check.source import Source

_DEPTH = 8


class _Origin(IntEnum):
    """Where a part of a name comes from; the worst part decides."""

    FINITE = 0
    UNKNOWN = 1
    MESSAGE = 2


def check(project: Project) -> Iterator[Finding]:
    """Every name given to KSR.pv that is put together from a message."""
    called = {*handler.callback_names(project), *modules.library("kemi.router", "Router")}
    for source in project.sources.values():
        tracer = _Tracer(source, called)
        for node in ast.walk(source.tree):
            name = source.scopes.ksr(node.func) if isinstance(node, ast.Call) else None
            if not name or not name.startswith("pv.") or not isinstance(node, ast.Call) or not node.args:
                continue
            if not _is_constant(source, node.args[0]) and tracer.origin(node.args[0]) is _Origin.MESSAGE:
                yield source.finding(
                    node.args[0],
                    "K701",
                    f"the name {source.segment(node.args[0])} is put together from a message",
                    "Kamailio keeps every name it has ever seen, in each process and for ever: memory grows",
                    "KSR.htable.sht_get(table, key); else set $var(key) and name that: $sht(table=>$var(key))",
                )


def _is_constant(source: Source, node: ast.expr) -> bool:
    return isinstance(source.scopes.value(node), ast.Constant)


class _Tracer:
    """Follows expressions back within one file."""

    def __init__(self, source: Source, called: set[str]) -> None:
        self._source = source
        self._called = called

    def origin(self, node: ast.AST, depth: int = 0) -> _Origin:
        """Where the value of an expression comes from."""
        if depth > _DEPTH:
            return _Origin.UNKNOWN
        match node:
            case ast.Constant():
                return _Origin.FINITE
            case ast.Name():
                return self._name(node, depth)
            case ast.Attribute(attr=attr, value=value):
                return _Origin.FINITE if attr.isupper() else self.origin(value, depth + 1)
            case ast.Call():
                return self._call(node, depth)
            case (
                ast.JoinedStr(values=parts)
                | ast.BoolOp(values=parts)
                | ast.List(elts=parts)
                | ast.Tuple(elts=parts)
            ):
                return self._worst(parts, depth)
            case ast.FormattedValue(value=value) | ast.Subscript(value=value) | ast.NamedExpr(value=value):
                return self.origin(value, depth + 1)
            case ast.BinOp(left=left, right=right):
                return self._worst([left, right], depth)
            case ast.IfExp(body=body, orelse=orelse):
                return self._worst([body, orelse], depth)
            case ast.For(iter=values) | ast.comprehension(iter=values):
                return self.origin(values, depth + 1)
            case ast.Assign(value=value) | ast.AugAssign(value=value):
                return self.origin(value, depth + 1)
        return _Origin.UNKNOWN

    def _worst(self, parts: list[ast.expr], depth: int) -> _Origin:
        return max((self.origin(part, depth + 1) for part in parts), default=_Origin.FINITE)

    def _call(self, node: ast.Call, depth: int) -> _Origin:
        if self._source.scopes.ksr(node.func) is not None:
            return _Origin.MESSAGE
        parts = [*node.args, *(keyword.value for keyword in node.keywords)]
        if isinstance(node.func, ast.Attribute):
            parts.append(node.func.value)
        if not parts and isinstance(node.func, ast.Name):
            return _Origin.UNKNOWN
        return self._worst(parts, depth)

    def _name(self, node: ast.Name, depth: int) -> _Origin:
        bindings = self._source.scopes.bindings(node)
        found = [
            self._parameter(binding, depth)
            if isinstance(binding, ast.arg)
            else self.origin(binding, depth + 1)
            for binding in bindings
            if binding is not node
        ]
        return max(found, default=_Origin.UNKNOWN)

    def _parameter(self, argument: ast.arg, depth: int) -> _Origin:
        """What the file gives the function for it; a callback or rule is given the message."""
        function = self._source.scopes.function(argument)
        if function is None or argument.arg == "self":
            return _Origin.UNKNOWN
        if function.name in self._called:
            return _Origin.MESSAGE
        names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        if argument.arg not in names:
            return _Origin.UNKNOWN
        position = names.index(argument.arg)
        given = list(self._given(function, argument.arg, position - (names[0] == "self")))
        return max((self.origin(each, depth + 1) for each in given), default=_Origin.UNKNOWN)

    def _given(self, function: Function, name: str, position: int) -> Iterator[ast.expr]:
        for node in ast.walk(self._source.tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called == function.name:
                yield from node.args[position : position + 1]
                yield from (keyword.value for keyword in node.keywords if keyword.arg == name)
