"""Which requests a rule has a say in.

A rule is asked about every request, but for those that a decorator rules out. The handler sorts that out once, when the
routes are loaded, and never asks in vain::

    @only("REGISTER")
    def register(self, request: Request) -> Verdict | None: ...

    @only(where="pstn")
    def to_pstn(self, request: Request) -> Verdict | None: ...

Called directly (``super().register(request)``) such a rule has no opinion of other requests. A rule that overrides it
is asked about all, unless it is decorated too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from types import MethodType
from typing import Any, Protocol, TypeVar

from kemi.features import Features
from kemi.request import Request
from kemi.verdict import Verdict

Rule = Callable[[Request], Verdict | None]


class HasFeatures(Protocol):
    """A router."""

    features: Features


R = TypeVar("R", bound=HasFeatures)

_SWITCHES = {item.name for item in fields(Features)}


@dataclass(frozen=True, slots=True)
class Condition:
    """When a rule is asked, and the rule itself."""

    methods: frozenset[str]
    where: str
    rule: Callable[[Any, Request], Verdict | None]

    def holds(self, method: str, features: Features) -> bool:
        if self.where and not getattr(features, self.where):
            return False
        return not self.methods or method in self.methods


def only(
    *methods: str, where: str = ""
) -> Callable[[Callable[[R, Request], Verdict | None]], Callable[[R, Request], Verdict | None]]:
    """The rule has no opinion of requests with other methods, nor of any where the feature is off.

    ``where`` names a field of :class:`kemi.features.Features`; ValueError if there is none of that name.
    """
    if where and where not in _SWITCHES:
        raise ValueError(f"only(where={where!r}): expected one of {', '.join(sorted(_SWITCHES))}")

    def decorate(rule: Callable[[R, Request], Verdict | None]) -> Callable[[R, Request], Verdict | None]:
        condition = Condition(frozenset(methods), where, rule)

        @functools.wraps(rule)
        def asked(router: R, request: Request) -> Verdict | None:
            return rule(router, request) if condition.holds(request.method, router.features) else None

        vars(asked)["condition"] = condition
        return asked

    return decorate


class HasRules(Protocol):
    """A router."""

    def rules(self) -> tuple[Rule, ...]: ...


def rules_of(router: HasRules) -> tuple[Rule, ...]:
    """The router's rules. Raises TypeError for what are none, while the routes before can still go on serving."""
    found: object = router.rules()
    rules = tuple(found) if isinstance(found, Iterable) else None
    if rules is None or not all(map(callable, rules)):
        raise TypeError(
            f"{type(router).__name__}.rules(): expected a tuple of methods that take a request, found {found!r}"
        )
    return rules


def asked_about(method: str, rules: tuple[Rule, ...], features: Features) -> tuple[Rule, ...]:
    """Those of ``rules`` that have a say in requests with this method, in their order."""
    return tuple(
        _unconditional(rule)
        for rule in rules
        if (found := _condition(rule)) is None or found.holds(method, features)
    )


def _condition(rule: Rule) -> Condition | None:
    found = getattr(rule, "condition", None)
    return found if isinstance(found, Condition) else None


def _unconditional(rule: Rule) -> Rule:
    """Without asking again for what holds. A rule that somebody has wrapped is left as it is."""
    condition = _condition(rule)
    if condition is None or not isinstance(rule, MethodType):
        return rule
    return MethodType(condition.rule, rule.__self__)
