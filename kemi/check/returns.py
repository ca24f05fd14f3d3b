"""K404 to K407: how a callback ends, and the start."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from kemi.check import handler
from kemi.check.finding import Finding
from kemi.check.message_path import functions
from kemi.check.project import Project, methods
from kemi.check.scopes import Function
from kemi.check.source import Source

_EXITS = frozenset({"sys.exit", "exit", "quit"})
_KILLS = frozenset({"os._exit", "os.abort"})


def check(project: Project) -> Iterator[Finding]:
    """All of them."""
    found = handler.find(project)
    for name in handler.callback_names(project) if found else ():
        function = found.methods.get(name) if found else None
        if found is None or function is None or isinstance(function, ast.AsyncFunctionDef):
            continue
        if not project.target.forgives:
            yield from _results(found.source, function)
        yield from _raises(found.source, function)
    for source, function in functions(project):
        yield from _exits(project, source, function)
    for source in project.sources.values():
        yield from _starts(project, source, found)


def _starts(project: Project, source: Source, found: handler.Handler | None) -> Iterator[Finding]:
    """Functions that run at the start and raise whatever happens."""
    classes = project.router_classes(source) + ([found.node] if found and found.source is source else [])
    at_start = [
        own[name]
        for own in map(methods, classes)
        for name in ("__init__", "child_init", "start")
        if name in own
    ]
    mod_init = source.top_function("mod_init")
    for function in [*at_start, *([mod_init] if mod_init and source is project.entry else [])]:
        for statement in function.body:
            if _always_fails(statement):
                why = "Kamailio does not start; at a reload kemi keeps the old routes, another script stops the server"
                what = f"{function.name}() always raises here"
                yield source.finding(statement, "K407", what, why, "raise only when something is wrong")


def _always_fails(statement: ast.stmt) -> bool:
    match statement:
        case ast.Raise() | ast.Assert(test=ast.Constant(value=False | 0 | None)):
            return True
    divisions = (ast.Div, ast.FloorDiv, ast.Mod)
    return isinstance(statement, ast.Expr | ast.Assign | ast.Return) and any(
        isinstance(node, ast.BinOp)
        and isinstance(node.op, divisions)
        and isinstance(node.left, ast.Constant)
        and not isinstance(node.left.value, str)
        and isinstance(node.right, ast.Constant)
        and node.right.value == 0
        for node in ast.walk(statement)
    )


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def _results(source: Source, function: Function) -> Iterator[Finding]:
    why = "up to Kamailio 5.7 anything but a number leaves an error behind that costs the next message its answer"
    nodes = list(own_nodes(function))
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes):
        yield source.finding(function, "K404", f"callback {function.name}() is a generator", why, "return 1")
        return
    for node in nodes:
        if isinstance(node, ast.Return) and _is_no_number(node.value):
            text = f"returns {source.segment(node.value)}" if node.value else "returns nothing"
            yield source.finding(node, "K404", f"callback {function.name}() {text}", why, "return 1")
    if not ends(function.body):
        what = f"callback {function.name}() can end without a return"
        yield source.finding(function, "K404", what, why, "end it with: return 1")


def _is_no_number(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Constant):
        return not isinstance(value.value, int)
    return value is None or isinstance(value, ast.JoinedStr | ast.List | ast.Dict | ast.Tuple | ast.Set)


def ends(body: list[ast.stmt]) -> bool:
    """Does a block always leave its function by return, raise or exit?"""
    for statement in body:
        match statement:
            case ast.Return() | ast.Raise():
                return True
            case ast.Expr(value=ast.Call(func=func)) if ast.unparse(func) in _EXITS | _KILLS:
                return True
            case ast.If(body=body_, orelse=orelse) if orelse and ends(body_) and ends(orelse):
                return True
            case ast.With(body=body_) if ends(body_) and not _may_swallow(statement):
                return True
            case ast.While(test=ast.Constant(value=value), body=body_) if value:
                if not any(isinstance(node, ast.Break) for inner in body_ for node in ast.walk(inner)):
                    return True
            case ast.Try(body=body_, handlers=handlers, orelse=orelse, finalbody=final):
                tried = ends(body_) or (bool(orelse) and ends(orelse))
                if ends(final) or (tried and all(ends(handler.body) for handler in handlers)):
                    return True
            case ast.Match(cases=cases):
                last = cases[-1].pattern
                catches_all = (
                    isinstance(last, ast.MatchAs) and last.pattern is None and cases[-1].guard is None
                )
                if catches_all and all(ends(case.body) for case in cases):
                    return True
    return False


def _may_swallow(statement: ast.With) -> bool:
    return any("suppress" in ast.unparse(item.context_expr) for item in statement.items)


def _raises(source: Source, function: Function) -> Iterator[Finding]:
    for node in own_nodes(function):
        if not isinstance(node, ast.Raise) or node.exc is None or "SystemExit" in ast.unparse(node.exc):
            continue
        if any(isinstance(outer, ast.Try) and outer.handlers for outer in source.scopes.around(node)):
            continue
        yield source.finding(
            node,
            "K406",
            f"the exception leaves callback {function.name}()",
            "Kamailio logs it and goes on: a request gets no answer at all, a reply or branch goes on unmanaged",
            "answer the request and return, or catch it in the callback",
        )


def _exits(project: Project, source: Source, function: Function) -> Iterator[Finding]:
    for node in own_nodes(function):
        if not isinstance(node, ast.Call):
            continue
        name, builtin = source.scopes.imported(node.func), _builtin(source, node.func)
        if name in _KILLS:
            why = "it ends the worker process, and Kamailio stops when one of its processes ends"
            yield source.finding(node, "K405", f"{name}() in {function.name}()", why, "return instead")
        elif project.served_by_kemi and (name in _EXITS or builtin in _EXITS):
            why = "kemi takes it for an exception like any other: the request gets 500"
            fix = "return a verdict: DROP, ABSORB, Reply(...)"
            yield source.finding(node, "K405", f"{name or builtin}() in {function.name}()", why, fix)


def _builtin(source: Source, node: ast.expr) -> str | None:
    return node.id if isinstance(node, ast.Name) and not source.scopes.bindings(node) else None
