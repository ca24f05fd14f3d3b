"""What is done with requests of each method, and with replies: the rules and all that they call, as one function each.

Asked one after the other the same rules do the same, and take three times as long. They are asked so where they cannot
be written out, and for methods that nobody knows.
"""

from __future__ import annotations

import ast
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kemi import log
from kemi.flat.sources import Sources
from kemi.flat.trees import UNKNOWN, ends, known
from kemi.flat.writer import Writer, leave
from kemi.message import Message
from kemi.request import FIXED, METHODS, NativeMessage, Request
from kemi.router import Router
from kemi.rule import Rule, asked_about, rules_of
from kemi.verdict import Verdict

NO_RULE_DECIDED = (
    "no rule decided: expected one of Router.rules() to return a verdict, found none that did; "
    "end the tuple with a rule that always decides"
)

#: Objects, and the names of those of their attributes that never change.
Fixed = tuple[object, frozenset[str]]
#: Does what a rule has decided; the last argument relays the request.
CarryOut = Callable[[Request, Rule, Verdict, Callable[[], None]], None]

# Attributes that Router.__init__ sets for good.
_OF_ROUTER = frozenset(
    {
        "bans",
        "features",
        "settings",
        "_agents",
        "_branch_methods",
        "_dialog_forming",
        "_dialog_forming_in_dialog",
        "_engine",
        "_max_forwards",
        "_nat_tests",
        "_reply_methods",
    }
)


#: What is done with requests of one method: their request, and what takes the message that Kamailio hands to a callback
#: (LookupError if no rule decides). A plain tuple: Python takes no other apart as quickly.
Plan = tuple[Request, Callable[[NativeMessage | None], None]]


class Plans:
    """The plans by method, each made when the first such request comes."""

    def __init__(
        self, router: Router, carry_out: CarryOut, relay: Callable[[Request], None], fixed: Sequence[Fixed]
    ) -> None:
        #: Those that are made. A dict itself: in what derives from it Python finds nothing as quickly.
        self.made: dict[str, Plan] = {}
        self._router = router
        self._carry_out = carry_out
        self._relay = relay
        self._fixed = [
            *fixed,
            (router, _OF_ROUTER),
            (router._nat_tests, frozenset({"headers", "sdp"})),
        ]
        self._rules = rules_of(router)
        request = router.request_type()
        #: For methods that nobody knows.
        self.other: Plan = (request, self._asking_each(request, self._rules))

    def of(self, method: str) -> Plan:
        """The plan for a method; :attr:`other` for one that nobody knows."""
        if method not in METHODS:
            return self.other
        if method not in self.made:
            self.made[method] = self._make(method, Sources())
        return self.made[method]

    def _make(self, method: str, sources: Sources) -> Plan:
        request = self._router.request_type(method)
        rules = asked_about(method, self._rules, self._router.features)
        try:
            handle = self._written_out(request, rules, sources)
        except Exception:  # noqa: BLE001 - then it takes longer
            _complain(method)
            handle = self._asking_each(request, rules)
        return request, handle

    def make_all(self, sources: Sources) -> None:
        """All at once: for the process from which the others are forked."""
        for method in METHODS:
            self.made[method] = self._make(method, sources)

    def calling(
        self, function: Callable[[Any], None], message: Message, sources: Sources
    ) -> Callable[[], None]:
        """Does what `function` does with this message, written out."""
        try:
            writer = self._writer(message, sources)
            statements = writer.call(function, [writer.name(message, "message")], leave)
            return writer.compile(function.__name__.lstrip("_"), [], statements)
        except Exception:  # noqa: BLE001 - then it takes longer
            _complain(function.__name__)
            return partial(function, message)

    def _asking_each(
        self, request: Request, rules: tuple[Rule, ...]
    ) -> Callable[[NativeMessage | None], None]:
        relay = partial(self._relay, request)

        def handle(native: NativeMessage | None) -> None:
            request.begin(native)
            for rule in rules:
                verdict = rule(request)
                if verdict is not None:
                    return self._carry_out(request, rule, verdict, relay)
            raise LookupError(NO_RULE_DECIDED)

        return handle

    def _written_out(
        self, request: Request, rules: tuple[Rule, ...], sources: Sources
    ) -> Callable[[NativeMessage | None], None]:
        writer = self._writer(request, sources)
        subject = writer.name(request, "request")
        relay = writer.name(self.calling(self._relay, request, sources), "relay")
        body = writer.call(request.begin, [ast.Name("native")], leave)
        for rule in rules:
            if not ends(body):
                body += self._rule(writer, rule, subject, relay)
        if not ends(body):
            failure = ast.Call(writer.name(LookupError, "LookupError"), [ast.Constant(NO_RULE_DECIDED)], [])
            body.append(ast.Raise(failure))
        return writer.compile(request.method, ["native"], body)

    def _rule(self, writer: Writer, rule: Rule, request: ast.expr, relay: ast.expr) -> list[ast.stmt]:
        name = getattr(rule, "__name__", "rule")

        def carried_out(verdict: ast.expr) -> list[ast.stmt]:
            arguments = [request, writer.name(rule, name), verdict, relay]
            if known(verdict) is UNKNOWN:
                done = ast.Call(writer.name(self._carry_out, "carry_out"), arguments, [])
                return [ast.Expr(done), ast.Return(None)]
            return [*writer.call(self._carry_out, arguments, leave), ast.Return(None)]

        def then(value: ast.expr) -> list[ast.stmt]:
            if known(value) is None:
                return [ast.Break()]
            if known(value) is not UNKNOWN:
                return carried_out(value)
            verdict = writer.variable("verdict")
            found = ast.Compare(verdict, [ast.IsNot()], [ast.Constant(None)])
            return [ast.Assign([verdict], value), ast.If(found, carried_out(verdict), []), ast.Break()]

        return writer.call(rule, [request], then)

    def _writer(self, message: Message, sources: Sources) -> Writer:
        of_message = FIXED if isinstance(message, Request) else frozenset()
        writer = Writer(sources, [*self._fixed, (message, of_message)])
        writer.name(self._router, "router")
        return writer


class Callbacks:
    """What is done with messages other than requests: functions by name, each written out when it is first called."""

    def __init__(self, plans: Plans, *functions: tuple[Callable[[Any], None], Message]) -> None:
        self._plans = plans
        self._functions = {function.__name__: (function, message) for function, message in functions}
        #: They themselves; a dict, as :attr:`Plans.made` is.
        self.made: dict[str, Callable[[], None]] = {
            name: partial(self._call_first, name) for name in self._functions
        }

    def _call_first(self, name: str) -> None:
        self.made[name] = self._plans.calling(*self._functions[name], Sources())
        self.made[name]()

    def make_all(self, sources: Sources) -> None:
        """As :meth:`Plans.make_all`."""
        for name, (function, message) in self._functions.items():
            self.made[name] = self._plans.calling(function, message, sources)


def _complain(name: str) -> None:
    log.error(f"{name} is served more slowly, it could not be written out:\n{traceback.format_exc()}")
