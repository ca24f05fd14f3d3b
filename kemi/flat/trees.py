"""What can be said about syntax trees, and small ones put together."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from types import MethodType
from typing import Any, TypeVar

Node = TypeVar("Node", bound=ast.expr)

#: What an expression is of which nothing is known.
UNKNOWN = object()
LITERALS = (bool, int, str, type(None))
# What is in them never changes.
_VALUES = (*LITERALS, float, bytes, tuple, frozenset, Enum)
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.GtE: operator.ge,
}


def known(node: ast.AST) -> Any:
    """What an expression always is, UNKNOWN if that cannot be said."""
    return getattr(node, "known", UNKNOWN)


def mark(node: Node, value: object) -> Node:
    """Remember what an expression always is."""
    vars(node)["known"] = value
    return node


def literal(value: Any) -> ast.expr:
    if type(value) is int and value < 0:
        # As a parser has it, so that -1 keeps its brackets within 2 ** -1 and (-1).real.
        return mark(ast.UnaryOp(ast.USub(), ast.Constant(-value)), value)
    return mark(ast.Constant(value), value)


def truth(node: ast.expr) -> bool | None:
    """True or False if that is known."""
    value = known(node)
    return bool(value) if type(value) in LITERALS else None


def decided(node: ast.expr) -> ast.expr:
    """The node, or its value where that is known: a comparison, a negation, a tuple."""
    match node:
        case ast.UnaryOp(op=ast.Not()) if (found := truth(node.operand)) is not None:
            return literal(not found)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
            values = known(left), known(right)
            identity = isinstance(op, ast.Is | ast.IsNot)
            if all(one is not UNKNOWN for one in values) and (
                identity or all(isinstance(one, _VALUES) for one in values)
            ):
                # What cannot be compared raises where the comparison stands, if that is ever reached.
                with suppress(TypeError):
                    return literal(_COMPARED[type(op)](*values))
        case ast.Tuple(elts=parts) if all(type(known(one)) in LITERALS for one in parts):
            return mark(node, tuple(known(one) for one in parts))
    return node


def is_atom(node: ast.AST) -> bool:
    """Can it be evaluated earlier or later, once or often?"""
    return (
        isinstance(node, ast.Name | ast.Constant)
        or type(known(node)) in LITERALS
        or (isinstance(node, ast.Attribute) and isinstance(known(node), MethodType))
    )


def are_read_first(names: Sequence[str], expression: ast.expr) -> bool:
    """Is each variable read once, whatever the other parts are, in this order, and before anything else is done?"""
    left = list(names)
    for node, always in _as_evaluated(expression, always=True):
        if isinstance(node, ast.Name) and node.id in names:
            if not (always and left and left.pop(0) == node.id):
                return False
        elif left and not is_atom(node):
            return False
    return not left


def _as_evaluated(node: ast.AST, *, always: bool) -> Iterator[tuple[ast.AST, bool]]:
    """The parts in the order in which they are evaluated, each with: is it, whatever the others are?"""
    surely: list[ast.AST | None] = list(ast.iter_child_nodes(node))
    perhaps: list[ast.AST] = []
    match node:
        case ast.IfExp():
            surely, perhaps = [node.test], [node.body, node.orelse]
        case ast.BoolOp():
            surely, perhaps = [node.values[0]], list(node.values[1:])
        case ast.Compare():
            surely, perhaps = [node.left, node.comparators[0]], list(node.comparators[1:])
        case ast.Dict():
            surely = [one for pair in zip(node.keys, node.values, strict=True) for one in pair]
    for part in surely:
        if isinstance(part, ast.expr | ast.keyword):
            yield from _as_evaluated(part, always=always)
    for part in perhaps:
        yield from _as_evaluated(part, always=False)
    if isinstance(node, ast.expr):
        yield node, always


def replaced(node: ast.expr, values: Mapping[str, ast.expr]) -> ast.expr:
    """The node with expressions in place of variables."""
    changed = _Replaced(values).visit(node)
    assert isinstance(changed, ast.expr)
    return changed


class _Replaced(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._values.get(node.id, node)


def can_be_text(node: ast.expr) -> bool:
    """Up to Python 3.11 there are no quotes left for a text within a text within a text."""
    try:
        ast.parse(ast.unparse(node))
    except (SyntaxError, ValueError):
        return False
    return True


def assigned(tree: ast.AST) -> list[str]:
    """The names of variables, as often as they are assigned to."""
    nodes = list(ast.walk(tree))
    names = [one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]
    return names + [one.name for one in nodes if isinstance(one, ast.ExceptHandler) and one.name]


def only_expression(tree: ast.FunctionDef) -> ast.expr | None:
    """What a function returns that does nothing else."""
    body = [
        one for one in tree.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
    ]
    match body:
        case [ast.Return(value=ast.expr() as value)]:
            return value
    return None


# -- statements


def ends(statements: Sequence[ast.stmt]) -> bool:
    """Is nothing reached after them?"""
    match statements:
        case [*_, ast.Return() | ast.Raise()]:
            return True
        case [*_, ast.If(body=yes, orelse=no)]:
            return ends(yes) and ends(no)
    return False


def if_else(test: ast.expr, yes: list[ast.stmt], no: list[ast.stmt]) -> ast.If:
    if no and not yes:
        return ast.If(ast.UnaryOp(ast.Not(), test), no, [])
    return ast.If(test, yes or [ast.Pass()], no)


def block(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Statements of which some break: what comes after them is what follows then."""
    statements = _without_last_break(statements)
    if not any(_breaks(one) for one in statements):
        return statements
    return [ast.While(ast.Constant(True), [*statements, *([] if ends(statements) else [ast.Break()])], [])]


def _without_last_break(statements: list[ast.stmt]) -> list[ast.stmt]:
    match statements:
        case [*others, ast.Break()]:
            return others
        case [*others, ast.If(test=test, body=yes, orelse=no)]:
            return [*others, if_else(test, _without_last_break(yes), _without_last_break(no))]
    return statements


def _breaks(statement: ast.stmt) -> bool:
    """Out of the block around it, not out of one within."""
    if isinstance(statement, ast.While):
        return False
    return isinstance(statement, ast.Break) or any(
        _breaks(one)
        for part in ast.iter_child_nodes(statement)
        for one in ([part] if isinstance(part, ast.stmt) else ast.iter_child_nodes(part))
        if isinstance(one, ast.stmt)
    )
