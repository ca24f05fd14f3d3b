"""Loaded by Kamailio in place of kemi_boot.py: the same routes, and a meter on every call of the KSR object.

A request with the header X-Bench is a command to the meter: ``start``, ``stop FILE``, ``time FILE``.
"""

from __future__ import annotations

import json
import sys
import time
import timeit
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import KSR

_LOOPS, _CALLS = 7, 2000
_COMMAND = "X-Bench"
_now = time.perf_counter_ns


class Meter:
    """Counts calls by the rule in which they happen, and times them."""

    def __init__(self) -> None:
        self.is_on = False
        self.counts: Counter[tuple[str, str]] = Counter()
        self.times: dict[str, list[int]] = {}
        self.arguments: dict[str, tuple[Any, ...]] = {}
        self._clock = min(-_now() + _now() for _ in range(1000))

    def clear(self) -> None:
        self.counts.clear()
        self.times.clear()
        self.arguments.clear()

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with a meter."""

        def call(*arguments: Any) -> Any:
            if not self.is_on:
                return function(*arguments)
            begin = _now()
            try:
                return function(*arguments)
            finally:
                took = _now() - begin - self._clock
                self.times.setdefault(name, []).append(took)
                self.counts[_rule(sys._getframe(1)), name] += 1
                self.arguments[name] = arguments

        return call

    def written(self) -> dict[str, Any]:
        """For JSON: counts by rule and function, median nanoseconds and the last arguments by function."""
        rules: dict[str, dict[str, int]] = {}
        for (rule, name), count in self.counts.items():
            rules.setdefault(rule, {})[name] = count
        middle = {name: sorted(took)[len(took) // 2] for name, took in self.times.items()}
        return {"rules": rules, "nanoseconds": middle, "arguments": self.arguments}


def _rule(frame: FrameType | None) -> str:
    """The rule of kemi/router.py that led to this frame, else the step of kemi/handler.py."""
    rule = step = ""
    while frame is not None:
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if file.endswith("kemi/router.py"):
            rule = name
        elif file.endswith("kemi/handler.py") and not step:
            step = name
        frame = frame.f_back
    return rule or step or "elsewhere"


def _metered(name: str, real: Any, meter: Meter) -> ModuleType:
    made = ModuleType(name)
    for attribute in dir(real):
        value = getattr(real, attribute)
        if attribute.startswith("__"):
            continue
        full = f"{name}.{attribute}".removeprefix("KSR.")
        if callable(value):
            setattr(made, attribute, meter.wrapped(full, value))
        else:
            setattr(made, attribute, _metered(f"{name}.{attribute}", value, meter))
    return made


class MeteredHandler:
    """Kamailio's callbacks: the handler's own, and the meter's commands."""

    def __init__(self, handler: Any, meter: Meter) -> None:
        self._handler = handler
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    def ksr_request_route(self, msg: Any) -> int:
        command, _, file = KSR.hdr.gete(_COMMAND).partition(" ")
        if not command:
            return int(self._handler.ksr_request_route(msg))
        meter = self._meter
        meter.is_on = command == "start"
        if command == "start":
            meter.clear()
        elif command == "stop":
            Path(file).write_text(json.dumps(meter.written()))
        else:
            Path(f"{file}.timed").write_text(json.dumps(_timed(json.loads(Path(file).read_text()))))
        KSR.sl.send_reply(200, "OK")
        return 1


def _timed(wanted: Iterable[tuple[str, list[Any]]]) -> dict[str, float]:
    """Nanoseconds of each function with its arguments for the message at hand, and of Python's own steps."""
    found = {}
    for name, arguments in wanted:
        function: Any = KSR
        for part in name.split("."):
            function = getattr(function, part)
        found[name] = _fastest(function, *arguments)
    found["(an empty function)"] = nothing = _fastest(_nothing)
    found["(a guard)"] = _fastest(_guarded) - nothing
    rules = (_no_opinion,) * 10
    found["(a rule without an opinion)"] = _fastest(_asked, rules) / len(rules)
    found["(a rule with a verdict)"] = _fastest(_asked, (_verdict,))
    return found


def _fastest(function: Callable[..., Any], *arguments: Any) -> float:
    """Nanoseconds per call, the fastest of several loops; the loop itself is taken off."""
    names = {f"a{position}": argument for position, argument in enumerate(arguments)}
    call = timeit.Timer(f"f({', '.join(names)})", globals={"f": function, **names})
    return (min(call.repeat(_LOOPS, _CALLS)) - min(_EMPTY.repeat(_LOOPS, _CALLS))) / _CALLS * 1e9


_EMPTY = timeit.Timer("pass")


def _nothing() -> None:
    return None


def _guarded() -> None:
    try:
        return
    except BaseException:  # noqa: BLE001 - what is measured
        KSR.err("unreachable\n")


def _no_opinion(_request: object) -> None:
    return None


def _verdict(_request: object) -> str:
    return "a verdict that is made once"


def _asked(rules: tuple[Callable[[object], object], ...]) -> object:
    for rule in rules:
        verdict = rule(None)
        if verdict is not None:
            return verdict
    return None


def mod_init() -> Any:
    """The product's handler, made while its modules find the meter under the name KSR."""
    meter = Meter()
    sys.modules["KSR"] = _metered("KSR", KSR, meter)
    # A define with a text keeps its quotes.
    sys.path.insert(1, str(KSR.kx.get_def("BENCH_SOURCE")).strip('"'))
    from kemi.boot import kemi_boot

    return MeteredHandler(kemi_boot.mod_init(), meter)
