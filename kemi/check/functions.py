"""K301 to K306: functions of KSR that are not there, not loaded, or given what they do not take."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator

from kemi.check.finding import Finding
from kemi.check.project import Project
from kemi.check.source import Source
from kemi.stubs.exports import Export, exports, is_family, known_in, versions

_MODF = "x.modf"
_TYPES = {"str": "a text", "int": "a number", "long": "a number"}


def check(project: Project) -> Iterator[Finding]:
    """All of them, for every file."""
    probed = {name for source in project.sources.values() for name in _probed(source)}
    for source in project.sources.values():
        for node in ast.walk(source.tree):
            name = source.scopes.ksr(node) if isinstance(node, ast.Attribute | ast.Name) else None
            if not name or isinstance(getattr(node, "ctx", None), ast.Store):
                continue
            # KSR.sl is looked at as part of KSR.sl.send_reply.
            if isinstance(source.scopes.parent(node), ast.Attribute) and "." not in name and is_family(name):
                continue
            if name.count(".") > 1 or name.rpartition(".")[2].startswith("_") or _is_alias(source, node):
                continue
            yield from _one(project, source, node, name, probed)


def _one(project: Project, source: Source, node: ast.AST, name: str, probed: set[str]) -> Iterator[Finding]:
    if "." not in name and (is_family(name) or name == "x"):
        return
    known = exports(str(project.target))
    export = known.get(name)
    parent = source.scopes.parent(node)
    call = parent if isinstance(parent, ast.Call) and parent.func is node else None
    # What a local name stands for has been looked at where it gets its value.
    first = isinstance(node, ast.Attribute) or source.scopes.imported(node) is not None
    asked = name in probed or name.partition(".")[0] in probed or _catches(source, node)
    if export is None and name != _MODF:
        if first and not asked:
            yield _unknown(project, source, node, name)
        return
    if export is not None and first and not asked:
        yield from _not_loaded(project, source, node, export)
    if call is not None:
        yield from _arguments(source, call, export)
    elif _is_tested(source, node):
        yield source.finding(
            node,
            "K306",
            f"KSR.{name} is named but not called",
            "a function is always true, and a statement that only names it does nothing",
            f"KSR.{name}({', '.join(export.param_names or export.params) if export else ''})",
        )


def _unknown(project: Project, source: Source, node: ast.AST, name: str) -> Finding:
    elsewhere = known_in(name)
    if elsewhere:
        later = elsewhere[0] > str(project.target)
        when = f"came with {elsewhere[0]}" if later else f"went after {elsewhere[-1]}"
        return source.finding(
            node,
            "K302",
            f"Kamailio {project.target} has no KSR.{name}: it {when}",
            "using it raises AttributeError, and the message gets no answer",
            f"ask first: if hasattr(KSR{_family(name)}, '{name.rpartition('.')[2]}'){_like(project, name)}",
        )
    why = "using it raises AttributeError, and the message gets no answer"
    family = name.partition(".")[0]
    if family == "x":
        why = "KSR.x of app_python3 has modf() and nothing else; the others are those of other languages"
    elif "." in name and not is_family(family):
        why = f"no module of Kamailio brings functions below KSR.{family}"
    return source.finding(
        node,
        "K301",
        f"no Kamailio from {versions()[0]} to {versions()[-1]} has KSR.{name}",
        why,
        f"correct the name{_like(project, name)}",
    )


def _family(name: str) -> str:
    return f".{name.partition('.')[0]}" if "." in name else ""


def _like(project: Project, name: str) -> str:
    known = exports(str(project.target))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    if not close and "." in name:
        short = name.rpartition(".")[2]
        close = [other for other in known if other.rpartition(".")[2] == short][:1]
    return f"; near it: KSR.{close[0]}" if close else ""


def _not_loaded(project: Project, source: Source, node: ast.AST, export: Export) -> Iterator[Finding]:
    cfg, module = project.cfg, export.module
    if cfg is None or module == "core" or cfg.loads(module):
        return
    conditions = cfg.loaded_where(module)
    if conditions and _is_guarded(source, node):
        return
    # Without -A nobody has said how the server is started, so it may well be loaded.
    sure = not conditions or bool(project.defines)
    if conditions:
        where = " and ".join(conditions)
        fix = f"start Kamailio, and check, with the define (-A): {where}"
    else:
        fix = f'loadmodule "{module}.so"'
    yield source.finding(
        node,
        "K303",
        f"{cfg.name} does not load {module}.so, of which KSR.{export.name} is"
        + (f"; it does so for: {' and '.join(conditions)}" if conditions else ""),
        "using it raises AttributeError, and the message gets no answer",
        fix,
        severity="error" if sure else "warning",
    )


def _arguments(source: Source, call: ast.Call, export: Export | None) -> Iterator[Finding]:
    name = f"KSR.{export.name}" if export else "KSR.x.modf"
    if call.keywords:
        yield source.finding(
            call,
            "K304",
            f"{name}() takes no arguments by name, found {source.segment(call.keywords[0].value)} given as one",
            "functions of KSR are C functions with positional arguments: the call raises TypeError",
            "give the arguments in their order",
        )
        return
    if export is None or any(isinstance(argument, ast.Starred) for argument in call.args):
        return
    signature = f"{name}({', '.join(export.param_names or export.params)})"
    expected = len(export.params)
    if len(call.args) != expected:
        yield source.finding(
            call,
            "K304",
            f"{name}() takes {expected} argument{'s' * (expected != 1)}, found {len(call.args)}",
            "up to Kamailio 5.6 the call raises; later ones write a line into the log, answer False and do nothing",
            signature,
        )
        return
    for number, (kind, argument) in enumerate(zip(export.params, call.args, strict=True), 1):
        found = _type(source, argument)
        if found is not None and found != ("str" if kind == "str" else "int"):
            yield source.finding(
                argument,
                "K305",
                f"{name}(): argument {number}: expected {_TYPES[kind]}, found {source.segment(argument)}",
                "up to Kamailio 5.6 the call raises; later ones write a line into the log, answer False and do nothing",
                signature,
            )


def _type(source: Source, node: ast.AST) -> str | None:
    """The type of an expression, where its text leaves no doubt."""
    value = source.scopes.value(node)
    match value:
        case ast.Constant():
            return "int" if isinstance(value.value, int) else type(value.value).__name__
        case ast.JoinedStr():
            return "str"
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return _type(source, operand)
        case ast.BinOp(left=left, op=ast.Mod()) if _type(source, left) == "str":
            return "str"
        case ast.BinOp(left=left, right=right):
            both = {_type(source, left), _type(source, right)}
            return both.pop() if len(both) == 1 else None
        case ast.List() | ast.Dict() | ast.Set() | ast.Tuple():
            return type(value).__name__.lower()
    return None


def _is_tested(source: Source, node: ast.AST) -> bool:
    parent = source.scopes.parent(node)
    match parent:
        case ast.Expr() | ast.UnaryOp(op=ast.Not()) | ast.BoolOp():
            return True
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            return test is node
        case ast.Compare():
            return not any(isinstance(operator, ast.Is | ast.IsNot) for operator in parent.ops)
    return False


def _is_alias(source: Source, node: ast.AST) -> bool:
    """A local name for a function counts where it gets its value, and where it is called."""
    parent = source.scopes.parent(node)
    called = isinstance(parent, ast.Call) and parent.func is node
    return isinstance(node, ast.Name) and not called and not _is_tested(source, node)


def _probed(source: Source) -> Iterator[str]:
    """The names that a file asks for before it uses them: hasattr(KSR.sl, "send_reply_error"), "sl" in dir(KSR)."""
    for node in ast.walk(source.tree):
        match node:
            case (
                ast.Call(
                    func=ast.Name(id="hasattr" | "getattr"), args=[base, ast.Constant(value=str(name)), *_]
                )
                | ast.Compare(
                    left=ast.Constant(value=str(name)),
                    ops=[ast.In() | ast.NotIn()],
                    comparators=[ast.Call(func=ast.Name(id="dir"), args=[base])],
                )
            ):
                family = source.scopes.ksr(base)
                if family is not None:
                    yield f"{family}.{name}".lstrip(".")


def _catches(source: Source, node: ast.AST) -> bool:
    for outer in source.scopes.around(node):
        if isinstance(outer, ast.Try) and any(
            "AttributeError" in ast.unparse(each) for each in outer.handlers
        ):
            return True
    return False


def _is_guarded(source: Source, node: ast.AST) -> bool:
    """Does the function around it ask for the define or the module?"""
    function = source.scopes.function(node)
    if function is None:
        return False
    for inner in ast.walk(function):
        name = source.scopes.ksr(inner) or getattr(inner, "attr", None) or getattr(inner, "id", None)
        if name in ("kx.ifdef", "kx.ifndef", "kx.get_def", "hasattr", "features"):
            return True
    return False
