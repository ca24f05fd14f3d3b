"""Which expressions the names in a Python file stand for, and which of them are KSR's."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef
Binding = ast.AST

# How often a name that stands for a name is followed; two may stand for each other.
_HOPS = 5


class Scopes:
    """The bindings of every name, looked up as Python does: in the function, in those around it, in the module.

    A binding is the node that gives the name its value: the expression assigned, an import's `ast.alias`, the
    definition, an `ast.arg`, or the statement or clause that binds, such as `ast.For` or `ast.withitem`.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self._parents: dict[ast.AST, ast.AST] = {}
        self._scopes: dict[ast.AST, ast.AST] = {}
        self._bindings: dict[ast.AST, dict[str, list[Binding]]] = defaultdict(lambda: defaultdict(list))
        self._place(tree, tree)
        for node in self._parents:
            self._bind(node)

    def _place(self, node: ast.AST, scope: ast.AST) -> None:
        """Note the parent and the scope of everything below a node."""
        inner = {id(each) for each in _inner(node)}
        for child in ast.iter_child_nodes(node):
            self._parents[child] = node
            self._scopes[child] = node if id(child) in inner else scope
            self._place(child, self._scopes[child])

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node around this one; None for the module."""
        return self._parents.get(node)

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around this one, inside out."""
        outer = self.parent(node)
        while outer is not None:
            yield outer
            outer = self.parent(outer)

    def function(self, node: ast.AST) -> Function | None:
        """The function whose body this node is in."""
        return next((outer for outer in self.around(node) if isinstance(outer, Function)), None)

    def bindings(self, name: ast.Name) -> list[Binding]:
        """All that the name can stand for; empty for a builtin."""
        scope: ast.AST | None = self._scopes[name]
        here = True
        while scope is not None:
            # What a class binds is seen in its body, but not in its methods.
            if name.id in self._bindings[scope] and (here or not isinstance(scope, ast.ClassDef)):
                return self._bindings[scope][name.id]
            here = False
            scope = self._scopes.get(scope)
        return []

    def names_of_module(self) -> frozenset[str]:
        """Every name that is bound at the level of the module."""
        return frozenset(self._bindings[self.tree])

    def value(self, node: ast.AST) -> ast.AST:
        """The expression itself, or for a name that is given one value only, that value."""
        for _ in range(_HOPS):
            found = self.bindings(node) if isinstance(node, ast.Name) else []
            if len(found) != 1 or not isinstance(found[0], ast.expr):
                break
            node = found[0]
        return node

    def ksr(self, node: ast.AST, hops: int = _HOPS) -> str | None:
        """What follows ``KSR.`` ("" for KSR itself) if the expression is a name of KSR's, else None."""
        if isinstance(node, ast.Attribute):
            family = self.ksr(node.value, hops)
            return None if family is None else f"{family}.{node.attr}".lstrip(".")
        if isinstance(node, ast.Name) and hops:
            for binding in self.bindings(node):
                if isinstance(binding, ast.alias):
                    return self._imported(binding)
                if isinstance(binding, ast.Attribute | ast.Name) and binding is not node:
                    if len(self.bindings(node)) > 1 or self._is_name(binding, node.id):
                        return None
                    return self.ksr(binding, hops - 1)
        return None

    def imported(self, node: ast.AST) -> str | None:
        """The full name of what an import brought here, such as "time.sleep" or "..numbers.PREMIUM"; else None."""
        if isinstance(node, ast.Attribute):
            module = self.imported(node.value)
            return module and f"{module}.{node.attr}"
        return self._brought(self.bindings(node) if isinstance(node, ast.Name) else [])

    def passed_on(self, name: str) -> str | None:
        """As :meth:`imported`, of a name at the level of the module: what others import from here came from there."""
        return self._brought(self._bindings[self.tree].get(name, []))

    def _brought(self, bindings: list[Binding]) -> str | None:
        if len(bindings) == 0 or not all(isinstance(binding, ast.alias) for binding in bindings):
            return None
        alias = bindings[-1]
        statement = self.parent(alias)
        assert isinstance(alias, ast.alias)
        if isinstance(statement, ast.ImportFrom):
            module = f"{statement.module}." if statement.module else ""
            return "." * statement.level + module + alias.name
        return alias.name if alias.asname else alias.name.partition(".")[0]

    def _is_name(self, node: ast.AST, name: str) -> bool:
        return isinstance(node, ast.Name) and node.id == name

    def _imported(self, alias: ast.alias) -> str | None:
        statement = self.parent(alias)
        if isinstance(statement, ast.Import):
            return "" if alias.name == "KSR" else None
        if isinstance(statement, ast.ImportFrom) and statement.module == "KSR" and not statement.level:
            return alias.name
        return None

    def _bind(self, node: ast.AST) -> None:
        match node:
            case ast.Name(ctx=ast.Store() | ast.Del()):
                self._bindings[self._scopes[node]][node.id].append(self._assigned(node))
            case ast.alias():
                name = node.asname or node.name.partition(".")[0]
                self._bindings[self._scopes[node]][name].append(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._bindings[self._scopes[node]][node.name].append(node)
            case ast.arguments():
                self._bind_arguments(node)
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                self._bindings[self._scopes[node]][name].append(node)
            case ast.Global() | ast.Nonlocal():
                for name in node.names:
                    # Written from more than one place: two bindings, so that no single value is believed.
                    self._bindings[self._scopes[node]][name] += [node, node]
                    self._bindings[self.tree][name] += [node, node]

    def _bind_arguments(self, node: ast.arguments) -> None:
        given = [*node.posonlyargs, *node.args, *node.kwonlyargs, node.vararg, node.kwarg]
        for argument in filter(None, given):
            self._bindings[self._parents[node]][argument.arg].append(argument)

    def _assigned(self, name: ast.Name) -> Binding:
        outer = self.parent(name)
        match outer:
            case ast.Assign(value=value) if name in outer.targets:
                return value
            case ast.AnnAssign(value=ast.expr() as value) | ast.NamedExpr(value=value):
                return value
        # One of several names, or the like: no expression says what it is.
        binders = ast.stmt | ast.comprehension | ast.withitem
        return next(outer for outer in self.around(name) if isinstance(outer, binders))


def _inner(node: ast.AST) -> list[ast.AST]:
    """The children of a node that are in a scope of its own: decorators, defaults and annotations are not."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return list(node.body)
        case ast.Lambda():
            return [node.body]
    return []
