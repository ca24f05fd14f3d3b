"""K401 to K403: answers of KSR functions taken for something that they are not.

Most functions answer with a number: above 0 is yes, below 0 is no, 0 means stop. -1 is true in Python.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from kemi.check.finding import Finding
from kemi.check.project import Project
from kemi.check.source import Source
from kemi.stubs.exports import Export, exports, known_in
from kemi.stubs.results import CODE, result

WHY = "it answers with a number: above 0 is yes, below 0 is no, and -1 is true in Python"


def check(project: Project) -> Iterator[Finding]:
    """All of them, for every file."""
    for source in project.sources.values():
        for node in ast.walk(source.tree):
            for tested in _tested(node):
                answer = _answer(project, source, tested)
                if answer is not None and result(answer[1]) == CODE:
                    yield _truth(source, node, tested, *answer)
            if isinstance(node, ast.Compare):
                yield from _compared(project, source, node)


def _tested(node: ast.AST) -> list[ast.expr]:
    """The expressions whose truth value a node asks for."""
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return [operand]
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) | ast.Assert(test=test):
            return [test]
        case ast.match_case(guard=ast.expr() as guard):
            return [guard]
        case ast.comprehension(ifs=ifs):
            return ifs
        case ast.BoolOp(values=values):
            # The last one is the result; whoever tests that finds it in _answer().
            return values[:-1]
        case ast.Call(func=ast.Name(id="bool"), args=[argument]):
            return [argument]
    return []


def _answer(project: Project, source: Source, node: ast.expr) -> tuple[ast.expr, Export] | None:
    """The part of an expression that is its value in the end, and the function whose answer that is."""
    if isinstance(node, ast.BoolOp):
        return _answer(project, source, node.values[-1])
    value = source.scopes.value(node)
    if isinstance(value, ast.NamedExpr):
        value = value.value
    name = source.scopes.ksr(value.func) if isinstance(value, ast.Call) else None
    if not name or not known_in(name):
        return None
    return node, exports(str(project.target)).get(name) or exports(known_in(name)[-1])[name]


def _truth(source: Source, node: ast.AST, tested: ast.expr, part: ast.expr, export: Export) -> Finding:
    text = source.segment(part)
    negated = isinstance(node, ast.UnaryOp) and part is tested
    what = (
        f"`not {text}` is true for 0 only, not for no"
        if negated
        else f"`{text}` is true for no as well as for yes"
    )
    fix = f"{text} {'<' if negated else '>'} 0"
    place = node if negated else part
    return source.finding(place, "K401", what, f"KSR.{export.name}() is no bool: {WHY}", fix)


def _compared(project: Project, source: Source, node: ast.Compare) -> Iterator[Finding]:
    if len(node.ops) != 1:
        return
    operator, value = node.ops[0], _constant(node.comparators[0])
    answer = _answer(project, source, node.left)
    if answer is None:
        return
    export = answer[1]
    name = f"KSR.{export.name}()"
    if result(export) == CODE and (value is None or isinstance(value, bool)):
        yes = bool(value) == isinstance(operator, ast.Is | ast.Eq)
        what = f"`{source.segment(node)}` compares a number with {value}"
        fix = f"{source.segment(node.left)} {'>' if yes else '<'} 0"
        yield source.finding(node, "K402", what, f"{name} is never {value}: {WHY}", fix)
    elif export.returns == "bool" and isinstance(value, int) and _is_vain(operator, value):
        no = isinstance(operator, ast.Lt | ast.LtE | ast.Eq)
        why = f"{name} is one of the functions that answer True or False, and False is 0"
        left, what = source.segment(node.left), f"`{source.segment(node)}` is always the same"
        yield source.finding(node, "K403", what, why, f"not {left}" if no else left)


def _is_vain(operator: ast.cmpop, value: int) -> bool:
    """Does the comparison give one result for both True and False?"""
    match operator:
        case ast.Lt() | ast.GtE():
            return value <= 0
        case ast.Gt() | ast.LtE() | ast.Eq() | ast.NotEq():
            return value < 0
    return False


def _constant(node: ast.expr) -> object:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
            return -value
        case ast.Constant(value=value):
            return value
    return "not a constant"
