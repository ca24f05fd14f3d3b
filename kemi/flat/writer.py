"""Functions made of others."""

from __future__ import annotations

import ast
import itertools
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import BuiltinFunctionType, FunctionType, MethodType

from kemi.flat.expressions import Called, Expressions, Scope
from kemi.flat.sources import StaysACallError
from kemi.flat.trees import UNKNOWN, block, if_else, is_atom, known, literal, mark, truth

#: Statements for what becomes of the value that a function returns. They end with a break, or return themselves.
Then = Callable[[ast.expr], list[ast.stmt]]


class Writer(Expressions):
    """Writes one function."""

    def compile(self, name: str, parameters: Sequence[str], statements: list[ast.stmt]) -> FunctionType:
        """The function, after all."""
        arguments = ast.arguments(
            posonlyargs=[],
            args=[ast.arg(one) for one in parameters],
            kwonlyargs=[],
            kw_defaults=[],
            defaults=[],
        )
        own = self.variable(name).id
        definition = ast.FunctionDef(
            name=own, args=arguments, body=statements or [ast.Pass()], decorator_list=[]
        )
        text = ast.unparse(ast.fix_missing_locations(ast.Module(body=[definition], type_ignores=[])))
        # By its text, as that of another may have the same name: Python keeps the lines that it has shown.
        file = f"{__package__}: {name} {zlib.crc32(text.encode(errors='backslashreplace')):08x}"
        used = {one.id for one in ast.walk(definition) if isinstance(one, ast.Name)}
        found = {key: value for key, value in self._globals.items() if key in used}
        # A traceback asks for the text of its lines there.
        found |= {"__name__": file, "__loader__": _Text(text)}
        tree = _Branching().visit(_Packed(found).visit(ast.parse(text)))
        exec(compile(ast.fix_missing_locations(tree), file, "exec"), found)
        function = found.pop(own)
        assert isinstance(function, FunctionType)
        return function

    def call(self, function: object, arguments: Sequence[ast.expr], then: Then) -> list[ast.stmt]:
        """Statements that call `function`, written out if that can be done."""
        hint = getattr(function, "__name__", "function")
        if isinstance(function, MethodType):
            target: ast.expr = mark(ast.Attribute(self.name(function.__self__, "self"), hint), function)
        else:
            target = self.name(function, hint)
        try:
            written = self._written(Called(target, arguments), _OUTSIDE, then)
        except StaysACallError:
            written = then(Called(self.name(function, hint), arguments).as_it_is())
        return block(written)

    def before(self, call: Called, scope: Scope, first: list[ast.stmt]) -> ast.expr:
        function, _ = call.function()
        found = self.variable(function.__name__)
        first += block(self._written(call, scope, lambda value: [ast.Assign([found], value), ast.Break()]))
        return found

    def _written(self, call: Called, scope: Scope, then: Then) -> list[ast.stmt]:
        """The statements of the called function."""
        function, given = call.function()
        tree = self._sources.find(function.__code__)
        first: list[ast.stmt] = []
        parameters = {}
        for name, value in self.parameters(function, tree, given, call.keywords).items():
            parameters[name] = value
            if not is_atom(value):
                parameters[name] = variable = self.variable(name)
                first.append(ast.Assign([variable], value))
        body, goes_on = self._statements(tree.body, self.within(scope, function, parameters), then)
        return [*first, *body, *(then(literal(None)) if goes_on else ())]

    # -- statements; the second of each pair: is the statement after it reached?

    def _statements(self, body: Sequence[ast.stmt], scope: Scope, then: Then) -> tuple[list[ast.stmt], bool]:
        written: list[ast.stmt] = []
        for statement in body:
            more, goes_on = self._statement(statement, scope, then)
            written += more
            if not goes_on:
                return written, False
        return written, True

    def _statement(self, node: ast.stmt, scope: Scope, then: Then) -> tuple[list[ast.stmt], bool]:
        match node:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                return [], True
            case ast.Return():
                return self._return(node.value or ast.Constant(None), scope, then), False
            case ast.If():
                return self._if(node.test, node.body, node.orelse, scope, then)
            case ast.Expr(value=ast.Call() as call):
                return self._alone(call, scope), True
            case ast.Assign(targets=[target]):
                return self._assign(target, node.value, scope), True
            case ast.AnnAssign(value=ast.expr() as value):
                return self._assign(node.target, value, scope), True
            case ast.Raise(exc=ast.expr() as error):
                cause = self.expression(node.cause, scope) if node.cause else None
                return [ast.Raise(self.expression(error, scope), cause)], False
            case ast.Try(finalbody=[]):
                return self._try(node, scope, then)
        raise StaysACallError(f"{type(node).__name__} in {scope.function.__name__}")

    def _assign(self, target: ast.expr, value: ast.expr, scope: Scope) -> list[ast.stmt]:
        first: list[ast.stmt] = []
        changed = self.expression(value, scope, first)
        return [*first, *self._kept(target, changed, scope)]

    def _kept(self, target: ast.expr, value: ast.expr, scope: Scope) -> list[ast.stmt]:
        match target:
            case ast.Tuple(elts=targets) if isinstance(known(value), tuple):
                pairs = zip(targets, known(value), strict=True)
                parts = (self._kept(to, self.name(part, "part"), scope) for to, part in pairs)
                return list(itertools.chain.from_iterable(parts))
            case ast.Name(id=name) if known(value) is not UNKNOWN:
                if self._sources.assigned(scope.function.__code__)[name] == 1:
                    # It is this, whenever it is read.
                    scope.parameters[name] = value
                    return []
        return [ast.Assign([self._target(target, scope)], value)]

    def _target(self, node: ast.expr, scope: Scope) -> ast.expr:
        match node:
            case ast.Name():
                return self.local(node.id, scope)
            case ast.Tuple():
                return ast.Tuple([self._target(one, scope) for one in node.elts])
            case ast.Attribute():
                return ast.Attribute(self.expression(node.value, scope), node.attr)
        raise StaysACallError(f"assignment to {type(node).__name__} in {scope.function.__name__}")

    def _if(
        self, test: ast.expr, body: Sequence[ast.stmt], orelse: Sequence[ast.stmt], scope: Scope, then: Then
    ) -> tuple[list[ast.stmt], bool]:
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) and not orelse:
            # One within the other, so that each can have statements before it.
            test, *others = test.values
            body = [ast.If(ast.BoolOp(ast.And(), others) if others[1:] else others[0], list(body), [])]
        first: list[ast.stmt] = []
        changed = self.expression(test, scope, first)
        found = truth(changed)
        if found is not None:
            written, goes_on = self._statements(body if found else orelse, scope, then)
            return [*first, *written], goes_on
        yes, after_yes = self._statements(body, scope, then)
        no, after_no = self._statements(orelse, scope, then)
        return [*first, if_else(changed, yes, no)], after_yes or after_no

    def _return(self, value: ast.expr, scope: Scope, then: Then) -> list[ast.stmt]:
        first: list[ast.stmt] = []
        if isinstance(value, ast.IfExp):
            yes, no = [ast.Return(value.body)], [ast.Return(value.orelse)]
            return self._if(value.test, yes, no, scope, then)[0]
        if isinstance(value, ast.Call):
            call = self.called(value, scope, first)
            # As an expression it could have no statements before the calls in it, but needs no variables.
            if not all(is_atom(one) for one in (*call.arguments, *call.keywords.values())):
                with suppress(StaysACallError):
                    return [*first, *_handed_on(self.as_expression(call, scope), then)]
            with suppress(StaysACallError):
                return [*first, *self._written(call, scope, then)]
            return [*first, *then(call.as_it_is())]
        changed = self.expression(value, scope, first)
        return [*first, *_handed_on(changed, then)]

    def _alone(self, node: ast.Call, scope: Scope) -> list[ast.stmt]:
        """A call of whose value nothing becomes."""
        first: list[ast.stmt] = []
        call = self.called(node, scope, first)
        try:
            return [*first, *block(self._written(call, scope, leave))]
        except StaysACallError:
            return [*first, ast.Expr(call.as_it_is())]

    def _try(self, node: ast.Try, scope: Scope, then: Then) -> tuple[list[ast.stmt], bool]:
        if any(isinstance(one, ast.Return) for part in node.body for one in ast.walk(part)):
            # What becomes of the value would be tried, too.
            raise StaysACallError(f"return within try in {scope.function.__name__}")
        body, goes_on = self._statements(node.body, scope, then)
        orelse: list[ast.stmt] = []
        if goes_on:
            orelse, goes_on = self._statements(node.orelse, scope, then)
        handlers = []
        for handler in node.handlers:
            kind = self.expression(handler.type, scope) if handler.type else None
            name = self.local(handler.name, scope).id if handler.name else None
            caught, after = self._statements(handler.body, scope, then)
            handlers.append(ast.ExceptHandler(kind, name, caught or [ast.Pass()]))
            goes_on = goes_on or after
        return [ast.Try(body or [ast.Pass()], handlers, orelse, [])], goes_on


class _Packed(ast.NodeTransformer):
    """Calls of Kamailio's functions with literals only, as ``f(*("a", 1))``: so Python makes no tuple each time."""

    def __init__(self, names: Mapping[str, object]) -> None:
        self._names = names

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        constant = all(isinstance(one, ast.Constant) for one in node.args) and not node.keywords
        if constant and isinstance(self._names.get(name), BuiltinFunctionType):
            packed = ast.Starred(ast.Tuple(node.args, ast.Load()), ast.Load())
            node.args = [ast.copy_location(packed, node)]
        return node


class _Branching(ast.NodeTransformer):
    """``a = b > 0`` as a branch: there Python compares numbers by an instruction of its own, elsewhere by a call."""

    def visit_Assign(self, node: ast.Assign) -> ast.Assign | ast.If:
        match node.value:
            case ast.Compare(comparators=[ast.Constant(value=int())]):
                yes, no = (ast.Assign(node.targets, ast.Constant(value)) for value in (True, False))
                return ast.copy_location(ast.If(node.value, [yes], [no]), node)
        return node


class _Text:
    """What a traceback asks for the lines of a function that is in no file."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_source(self, _name: str) -> str:
        return self._text


# What the outermost call stands in.
_OUTSIDE = Scope(FunctionType((lambda: None).__code__, {}), {})


def leave(value: ast.expr) -> list[ast.stmt]:
    """What becomes of a value that nobody wants."""
    return [ast.Break()] if is_atom(value) else [ast.Expr(value), ast.Break()]


def _handed_on(value: ast.expr, then: Then) -> list[ast.stmt]:
    if isinstance(value, ast.IfExp):
        return [if_else(value.test, _handed_on(value.body, then), _handed_on(value.orelse, then))]
    return then(value)
