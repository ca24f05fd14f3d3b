"""Expressions, with the calls in them written out."""

from __future__ import annotations

import ast
import builtins
import keyword
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import EnumType, IntEnum
from types import FunctionType, MethodType, ModuleType
from typing import Any

from kemi.flat.seldom import is_seldom
from kemi.flat.sources import Sources, StaysACallError
from kemi.flat.trees import (
    LITERALS,
    UNKNOWN,
    are_read_first,
    can_be_text,
    decided,
    is_atom,
    known,
    literal,
    mark,
    only_expression,
    replaced,
    truth,
)

_DEEPEST = 12  # calls within calls
_NOT_WRITTEN_OUT = (
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.Await,
    ast.Yield,
    ast.YieldFrom,
)


@dataclass
class Scope:
    """A function that is being written out: what its names stand for."""

    function: FunctionType
    parameters: dict[str, ast.expr]
    #: The functions that called it.
    callers: tuple[FunctionType, ...] = ()
    local: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Called:
    """A call, its parts written out."""

    target: ast.expr
    arguments: Sequence[ast.expr]
    keywords: Mapping[str, ast.expr] = field(default_factory=dict)

    def as_it_is(self) -> ast.expr:
        arguments = list(self.arguments)
        if isinstance(self.target, ast.Name) and self.target.id.startswith("KSR_"):
            # Python makes the arguments of these ready, where they are literals.
            arguments = [_number(one) for one in arguments]
        keywords = [ast.keyword(name, value) for name, value in self.keywords.items()]
        return ast.Call(self.target, arguments, keywords)

    def function(self) -> tuple[FunctionType, list[ast.expr]]:
        """The library's function, and the arguments with ``self``; raises StaysACallError for any other."""
        function, given = known(self.target), list(self.arguments)
        if isinstance(function, MethodType):
            if not isinstance(self.target, ast.Attribute):
                raise StaysACallError(f"{function.__name__} goes by another name")
            function, given = function.__func__, [self.target.value, *given]
        if not isinstance(function, FunctionType) or not _is_ours(function.__module__):
            raise StaysACallError("not the library's")
        if function.__code__.co_freevars or is_seldom(function):
            raise StaysACallError(f"{function.__name__} is seldom called, or made within another")
        return function, given


def _number(node: ast.expr) -> ast.expr:
    value = known(node)
    return literal(int(value)) if isinstance(value, IntEnum) else node


def _is_ours(module: str) -> bool:
    return module.startswith("kemi.") and not module.startswith("kemi.testing.")


class Expressions(ABC):
    """Writes expressions. ``fixed``: objects, and the names of those of their attributes that never change."""

    def __init__(self, sources: Sources, fixed: Sequence[tuple[object, frozenset[str]]] = ()) -> None:
        self._sources = sources
        self._fixed = {id(owner): names for owner, names in fixed}
        #: What the global names of the new function stand for, and by the identity of that its name.
        self._globals: dict[str, Any] = {}
        self._named: dict[int, str] = {}
        self._taken = {*dir(builtins), *keyword.kwlist}

    # -- names

    def name(self, value: object, hint: str) -> ast.expr:
        """A name for a value, or the value itself if it is a literal."""
        if type(value) in LITERALS:
            return literal(value)
        if id(value) not in self._named:
            self._named[id(value)] = self.variable(hint).id
            self._globals[self._named[id(value)]] = value
        return mark(ast.Name(self._named[id(value)]), value)

    def variable(self, hint: str) -> ast.Name:
        """A new name."""
        hint = hint if hint.isidentifier() else "function"
        name, number = hint, 1
        while name in self._taken:
            number += 1
            name = f"{hint}_{number}"
        self._taken.add(name)
        return ast.Name(name)

    def local(self, name: str, scope: Scope) -> ast.Name:
        """The variable that stands for one of the function's."""
        if name not in scope.local:
            scope.local[name] = self.variable(name).id
        return ast.Name(scope.local[name])

    # -- expressions

    def expression(self, node: ast.expr, scope: Scope, first: list[ast.stmt] | None = None) -> ast.expr:
        """The expression written out; raises StaysACallError where that cannot be done.

        Where nothing of the statement is evaluated before it, ``first`` takes statements that have to be.
        """
        match node:
            case ast.Constant():
                return literal(node.value)
            case ast.Name():
                return self._name(node.id, scope)
            case ast.Attribute():
                return self._attribute(self.expression(node.value, scope, first), node.attr, scope, first)
            case ast.Call():
                return self._value(self.called(node, scope, first), scope, first)
            case ast.BoolOp():
                return self._any_or_all(node, scope, first)
            case ast.IfExp():
                test = self.expression(node.test, scope, first)
                found = truth(test)
                if found is not None:
                    return self.expression(node.body if found else node.orelse, scope, first)
                return ast.IfExp(test, self.expression(node.body, scope), self.expression(node.orelse, scope))
            case ast.NamedExpr():
                return ast.NamedExpr(
                    self.local(node.target.id, scope), self.expression(node.value, scope, first)
                )
        if isinstance(node, _NOT_WRITTEN_OUT):
            raise StaysACallError(f"{type(node).__name__} in {scope.function.__name__}")
        written = decided(self._with_parts(node, scope, first))
        if isinstance(written, ast.JoinedStr) and not can_be_text(written):
            raise StaysACallError(f"a text within a text in {scope.function.__name__}")
        return written

    def called(self, node: ast.Call, scope: Scope, first: list[ast.stmt] | None) -> Called:
        """The parts of a call."""
        target = self.expression(node.func, scope, first)
        values = []
        for one in (*node.args, *(one.value for one in node.keywords)):
            values.append(self.expression(one, scope, first))
            first = first if is_atom(values[-1]) else None
        names = [str(one.arg) for one in node.keywords]
        if "None" in names:
            raise StaysACallError(f"** in {scope.function.__name__}")
        return Called(
            target, values[: len(node.args)], dict(zip(names, values[len(node.args) :], strict=True))
        )

    def as_expression(self, call: Called, scope: Scope, first: list[ast.stmt] | None = None) -> ast.expr:
        """What the called function returns, in place of the call, if it does nothing else."""
        function, given = call.function()
        tree = self._sources.find(function.__code__)
        value = only_expression(tree)
        if value is None:
            raise StaysACallError(f"{function.__name__} has statements")
        parameters = self.parameters(function, tree, given, call.keywords)
        later: dict[str, ast.expr] = {}
        for name, argument in parameters.items():
            if not is_atom(argument):
                parameters[name] = variable = self.variable(name)
                mark(variable, known(argument))
                later[variable.id] = argument
        before: list[ast.stmt] | None = None if later or first is None else []
        written = self.expression(value, self.within(scope, function, parameters), before)
        if first is not None and before is not None:
            first += before
        if not later:
            return written
        if not are_read_first(list(later), written):
            raise StaysACallError(f"{function.__name__} does not begin with its arguments")
        written = replaced(written, later)
        if any(isinstance(one, ast.JoinedStr) for one in ast.walk(written)) and not can_be_text(written):
            raise StaysACallError(f"a text within a text in {function.__name__}")
        return written

    def parameters(
        self,
        function: FunctionType,
        tree: ast.FunctionDef,
        arguments: Sequence[ast.expr],
        keywords: Mapping[str, ast.expr],
    ) -> dict[str, ast.expr]:
        """By name what the called function is given, in the order in which that is evaluated."""
        values = [*arguments, *keywords.values()]
        if any(isinstance(one, ast.Starred) for one in values):
            raise StaysACallError(f"{tree.name} is called with *")
        if any(isinstance(part, ast.NamedExpr) for one in values for part in ast.walk(one)):
            raise StaysACallError(f"{tree.name} is called with a variable that is assigned to on the way")
        if tree.args.vararg or tree.args.kwarg:
            raise StaysACallError(f"{tree.name} takes any number of arguments")
        positional = [one.arg for one in (*tree.args.posonlyargs, *tree.args.args)]
        defaults = function.__defaults__ or ()
        later = dict(zip(positional[len(positional) - len(defaults) :], defaults, strict=True))
        later |= function.__kwdefaults__ or {}
        found = dict(zip(positional, arguments, strict=False))
        is_wrong = len(arguments) > len(positional) or not found.keys().isdisjoint(keywords)
        found |= keywords
        found |= {name: self.name(value, name) for name, value in later.items() if name not in found}
        if is_wrong or set(found) != {*positional, *(one.arg for one in tree.args.kwonlyargs)}:
            raise StaysACallError(f"{tree.name} is called with other arguments")
        if not found.keys().isdisjoint(self._sources.assigned(function.__code__)):
            raise StaysACallError(f"{tree.name} assigns to a parameter")
        return found

    def within(self, scope: Scope, function: FunctionType, parameters: dict[str, ast.expr]) -> Scope:
        callers = (*scope.callers, scope.function)
        if function in callers or len(callers) > _DEEPEST:
            raise StaysACallError(f"{function.__name__} calls itself, or too deep")
        return Scope(function, parameters, callers)

    @abstractmethod
    def before(self, call: Called, scope: Scope, first: list[ast.stmt]) -> ast.expr:
        """The called function's statements, put into `first`, and the variable that has its value then."""

    def _name(self, name: str, scope: Scope) -> ast.expr:
        if name in scope.parameters:
            return scope.parameters[name]
        if name in scope.local:
            return ast.Name(scope.local[name])
        if name in scope.function.__globals__:
            return self.name(scope.function.__globals__[name], name)
        if hasattr(builtins, name):
            return mark(ast.Name(name), getattr(builtins, name))
        raise StaysACallError(f"{name} in {scope.function.__name__}")

    def _with_parts(self, node: ast.expr, scope: Scope, first: list[ast.stmt] | None) -> ast.expr:
        fields: dict[str, Any] = {}
        if isinstance(node, ast.Dict):
            first = None  # its keys and values take turns
        for name, value in ast.iter_fields(node):
            changed = []
            for place, one in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(one, ast.expr):
                    if isinstance(node, ast.Compare) and place:
                        first = None  # not evaluated if what is before it is false
                    one = self.expression(one, scope, first)
                    first = first if is_atom(one) else None
                changed.append(one)
            fields[name] = changed if isinstance(value, list) else changed[0]
        return type(node)(**fields)

    def _any_or_all(self, node: ast.BoolOp, scope: Scope, first: list[ast.stmt] | None) -> ast.expr:
        values: list[ast.expr] = []
        for one in node.values:
            values.append(self.expression(one, scope, None if values else first))
            found = truth(values[-1])
            if found is isinstance(node.op, ast.Or):
                break  # what comes after it is not evaluated
            if found is not None and one is not node.values[-1]:
                values.pop()
        return values[0] if len(values) == 1 else ast.BoolOp(node.op, values)

    def _value(self, call: Called, scope: Scope, first: list[ast.stmt] | None) -> ast.expr:
        values = [known(one) for one in call.arguments]
        if known(call.target) in (isinstance, type) and all(one is not UNKNOWN for one in values):
            return self.name(known(call.target)(*values), "kind")
        with suppress(StaysACallError):
            return self.as_expression(call, scope, first)
        if first is not None:
            with suppress(StaysACallError):
                return self.before(call, scope, first)
        return call.as_it_is()

    # -- attributes

    def _attribute(self, value: ast.expr, name: str, scope: Scope, first: list[ast.stmt] | None) -> ast.expr:
        owner = known(value)
        plain = ast.Attribute(value, name)
        if name.startswith("__") and not name.endswith("__"):
            raise StaysACallError(f"{name} is private to a class")
        if owner is UNKNOWN:
            return plain
        if isinstance(owner, ModuleType) and owner.__name__.partition(".")[0] == "KSR":
            return self._of_kamailio(plain, owner)
        if self._is_fixed(owner, name):
            return self.name(getattr(owner, name), name)
        if name in getattr(owner, "__dict__", ()):
            return plain
        found = next((vars(one)[name] for one in type(owner).__mro__ if name in vars(one)), None)
        if isinstance(found, FunctionType):
            return mark(plain, MethodType(found, owner))
        if isinstance(found, property) and isinstance(found.fget, FunctionType):
            read = Called(mark(ast.Name(name), found.fget), [value])
            with suppress(StaysACallError):
                return self.as_expression(read, scope, first)
            if first is not None:
                with suppress(StaysACallError):
                    return self.before(read, scope, first)
        return plain

    def _of_kamailio(self, plain: ast.Attribute, owner: ModuleType) -> ast.expr:
        """A function by a name of its own, which saves looking it up in its modules."""
        found = getattr(owner, plain.attr, None)
        if isinstance(found, ModuleType):
            return mark(plain, found)
        return (
            self.name(found, f"{owner.__name__}.{plain.attr}".replace(".", "_")) if callable(found) else plain
        )

    def _is_fixed(self, owner: object, name: str) -> bool:
        if isinstance(owner, ModuleType):
            return _is_ours(owner.__name__) and hasattr(owner, name)
        if isinstance(owner, EnumType):
            return name in owner.__members__
        parameters = getattr(owner, "__dataclass_params__", None)
        if parameters is not None and parameters.frozen:
            return name in owner.__dataclass_fields__  # type: ignore[attr-defined]
        return name in self._fixed.get(id(owner), ())
