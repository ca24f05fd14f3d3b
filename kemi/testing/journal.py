"""Which rules and callbacks of a router ran, in order, what each gave, and what each asked of KSR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from kemi.router import Router
from kemi.rule import rules_of
from kemi.testing.ksr import FakeKSR
from kemi.testing.state import Call

CALLBACKS = ("on_branch", "on_acknowledge", "on_any_reply", "on_reply", "on_failure", "on_event")


@dataclass
class Step:
    """One rule or callback that ran. `calls` are the KSR calls that it made itself, not those of a step within it."""

    name: str
    is_rule: bool
    result: Any = None
    error: BaseException | None = None
    #: Where it was raised, from the rule on.
    trace: TracebackType | None = None
    calls: list[Call] = field(default_factory=list)


class Journal:
    """Writes down what a router does, from `watch` on. `steps` are those since `begin`."""

    def __init__(self, ksr: FakeKSR) -> None:
        self._ksr = ksr
        self.steps: list[Step] = []
        self._first = 0
        self._claimed: set[int] = set()

    def watch(self, router: Router) -> None:
        """Have its rules and callbacks written down. Call before a handler takes them."""
        rules = tuple(_Watched(self, rule, is_rule=True) for rule in rules_of(router))
        vars(router)["rules"] = lambda: rules
        for name in CALLBACKS:
            vars(router)[name] = _Watched(self, getattr(router, name), is_rule=False)

    def begin(self) -> None:
        """Forget the steps of the message before."""
        self.steps = []
        self._first = len(self._ksr.calls)
        self._claimed = set()

    @property
    def other_calls(self) -> list[Call]:
        """KSR calls since `begin` that no step made: the handler's own, which carry the verdict out."""
        return [self._ksr.calls[place] for place in self._unclaimed(self._first)]

    def run(self, function: Callable[..., Any], arguments: tuple[object, ...], *, is_rule: bool) -> Any:
        step = Step(getattr(function, "__name__", repr(function)), is_rule)
        self.steps.append(step)
        first = len(self._ksr.calls)
        try:
            step.result = function(*arguments)
        except BaseException as error:
            step.error = error
            step.trace = error.__traceback__.tb_next if error.__traceback__ else None
            raise
        finally:
            places = self._unclaimed(first)
            self._claimed.update(places)
            step.calls = [self._ksr.calls[place] for place in places]
        return step.result

    def _unclaimed(self, first: int) -> list[int]:
        return [place for place in range(first, len(self._ksr.calls)) if place not in self._claimed]


class _Watched:
    """Stands for a function of the router; what is asked of it besides a call, its name for one, is the function's."""

    def __init__(self, journal: Journal, function: Callable[..., Any], *, is_rule: bool) -> None:
        self._journal = journal
        self._function = function
        self._is_rule = is_rule

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    def __call__(self, *arguments: object) -> Any:
        return self._journal.run(self._function, arguments, is_rule=self._is_rule)
