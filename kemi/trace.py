"""What happens to single messages: which rules ran, what each KSR call gave and how long it took (`kemi trace`).

`kemi trace` puts a wish into the table of :mod:`kemi.status` and has Kamailio load. Each process then makes a second
handler of the files that serve already, whose modules find a recording KSR (:class:`RecordingModule`), and sends what
it sees to the command's datagram socket without ever waiting. When time is up, enough was seen or nobody reads it, the
process goes back to its first handler by itself. Without a trace there is nothing of this.

No KSR is imported here: the command reads the same :class:`Wish` and :class:`Event`.
"""

from __future__ import annotations

import functools
import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from types import ModuleType
from typing import Any, Protocol, Self

#: Call-IDs of messages that only wake processes up begin so; see :mod:`kemi.cli.nudge`.
NUDGE = "kemi-nudge-"

_MOST_STEPS = 300  # in one event: a trace must fit a datagram
_MOST_EVENTS = 2000  # of one process
_LONGEST_TEXT = 80  # characters shown of a value
CALLBACKS = (
    "ksr_request_route",
    "ksr_reply_route",
    "ksr_on_branch",
    "ksr_on_reply",
    "ksr_on_failure",
    "ksr_event",
)


@dataclass(frozen=True)
class Wish:
    """Somebody waits at a socket for a trace."""

    id: str
    #: Path of the unix datagram socket that gets the events.
    socket: str
    #: When it ends at the latest, in seconds since 1970.
    until: float
    #: Trace this call alone; "" traces any.
    call_id: str = ""
    #: Requests after which a process stops of itself.
    requests: int = 1

    @property
    def is_over(self) -> bool:
        return time.time() >= self.until

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """The wish that :meth:`to_text` wrote, None for anything else: nobody's typing error may stop a reload."""
        with suppress(ValueError, TypeError):
            wish = cls(**json.loads(text))
            return wish if isinstance(wish.until, int | float) else None
        return None


@dataclass
class Step:
    """A rule, a call of KSR or a callback within one; `took` is in nanoseconds."""

    what: str
    gave: str = ""
    took: int = 0
    inside: list[Step] = field(default_factory=list)

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Step:
        return cls(**{**values, "inside": [cls.from_values(step) for step in values["inside"]]})


@dataclass
class Event:
    """One callback of Kamailio from beginning to end."""

    wish: str
    pid: int
    at: float
    call_id: str
    #: First line of the message: method and request-URI, or status and reason.
    line: str
    step: Step
    #: Events before this one that found the socket full.
    lost: int = 0

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        values = json.loads(text)
        return cls(**{**values, "step": Step.from_values(values["step"])})


class Recorder:
    """Keeps the steps of the callback at hand, and sends them when it ends."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._open: list[Step] = []
        self._steps = 0
        self._own = 0  # nanoseconds that the recording itself has taken
        self._requests = 0
        self._events = 0
        self._lost = 0
        self._deadline = time.monotonic() + wish.until - time.time()
        self._reader_gone = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    @property
    def is_over(self) -> bool:
        return self._reader_gone or self._events >= _MOST_EVENTS or time.monotonic() >= self._deadline

    @property
    def is_recording(self) -> bool:
        """Is a callback being recorded now? Kamailio calls one within another: a branch while a request is relayed."""
        return bool(self._open)

    def wants(self, callback: str, call_id: str) -> bool:
        """Whether a callback for a message of this call shall be recorded."""
        if call_id.startswith(NUDGE) or self._wish.call_id not in ("", call_id):
            return False
        return (
            callback != "ksr_request_route"
            or bool(self._wish.call_id)
            or self._requests < self._wish.requests
        )

    def run(self, name: str, call: Callable[..., Any], args: tuple[Any, ...], show_args: bool = False) -> Any:
        """Call it, and keep what it gave and how long it took."""
        if not self._open or self._steps >= _MOST_STEPS:
            return call(*args)
        entered = time.perf_counter_ns()
        what = f"{name}({', '.join(map(_shown, args))})" if show_args else name
        return self._timed(Step(what), call, args, entered)

    def run_callback(
        self, callback: str, call: Callable[..., int], args: tuple[Any, ...], call_id: str, line: str
    ) -> int:
        """The same for the outermost call, which is sent."""
        self._steps = 0
        step = Step(callback)
        try:
            return int(self._timed(step, call, args, time.perf_counter_ns()))
        finally:
            self._requests += callback == "ksr_request_route"
            self._send(Event(self._wish.id, os.getpid(), time.time(), call_id, line, step, self._lost))

    def _timed(self, step: Step, call: Callable[..., Any], args: tuple[Any, ...], entered: int) -> Any:
        if self._open:
            self._open[-1].inside.append(step)
        self._open.append(step)
        self._steps += 1
        own = self._own
        begin = end = time.perf_counter_ns()
        try:
            result = call(*args)
            end = time.perf_counter_ns()
            step.gave = _shown(result)
            return result
        except BaseException as problem:
            end = time.perf_counter_ns()
            step.gave = f"raised {type(problem).__name__}: {_shown(problem)}"
            raise
        finally:
            self._open.pop()
            # Recording the steps inside took time that is not theirs.
            step.took = end - begin - (self._own - own)
            self._own += time.perf_counter_ns() - entered - (end - begin)

    def _send(self, event: Event) -> None:
        self._events += 1
        try:
            self._socket.sendto(event.to_text().encode(), self._wish.socket)
        except BlockingIOError:
            self._lost += 1
        except Exception:  # noqa: BLE001 - the call goes on, whatever is wrong with its trace
            self._reader_gone = True

    def close(self) -> None:
        self._socket.close()


def _shown(value: object) -> str:
    try:
        text = repr(value) if isinstance(value, str) else "" if value is None else str(value)
    except Exception as problem:  # noqa: BLE001 - a stranger's __repr__
        text = f"<{type(value).__name__}: {type(problem).__name__}>"
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


class RecordingModule(ModuleType):
    """KSR, or one of its modules, whose functions are recorded."""

    def __init__(self, name: str, real: Any, recorder: Recorder) -> None:
        super().__init__(name)
        self._real = real
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        path = f"{self.__name__}.{name}"
        if isinstance(value, ModuleType):
            value = RecordingModule(path, value, self._recorder)
        elif callable(value):
            value = _recorded(path, value, self._recorder)
        setattr(self, name, value)
        return value


def _recorded(path: str, function: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        if not recorder.is_recording:
            return function(*args)
        return recorder.run(path, function, args, show_args=True)

    return call


def record_rules(router: Any, recorder: Recorder) -> None:
    """Have the rules of this router, and the rules that those call by name, recorded."""
    for rule in router.rules():
        name = getattr(rule, "__name__", "")
        if name and getattr(router, name, None) == rule:
            setattr(router, name, _recorded_rule(name, rule, recorder))


def _recorded_rule(name: str, rule: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    @functools.wraps(rule)
    def call(*args: Any) -> Any:
        return recorder.run(name, rule, args)

    return call


class _Handler(Protocol):
    def child_init(self, rank: int) -> int: ...

    def take_over(self, *, every_reply: bool = False) -> None: ...

    def retire(self) -> None: ...


class TracedHandler:
    """What Kamailio calls during a trace: `traced` for messages that are recorded, `plain` for all others."""

    def __init__(self, plain: _Handler, traced: _Handler, recorder: Recorder, ksr: Any) -> None:
        self._plain = plain
        self._traced: _Handler | None = traced
        self._recorder = recorder
        self._ksr = ksr
        self._muted = False
        plain.take_over(every_reply=True)

    def __getattr__(self, name: str) -> Any:
        if name in CALLBACKS:
            callback = functools.partial(self._call, name)
            setattr(self, name, callback)
            return callback
        return getattr(self._plain, name)

    def _call(self, callback: str, *args: Any) -> int:
        recorder = self._recorder
        traced = self._traced
        if traced is None or self._muted:
            return int(getattr(self._plain, callback)(*args))
        if recorder.is_recording:
            return int(recorder.run(callback, getattr(traced, callback), args))
        if recorder.is_over:
            self._end()
            return int(getattr(self._plain, callback)(*args))
        call_id = self._read("$ci")
        if not recorder.wants(callback, call_id):
            self._muted = True  # and the callbacks within this one
            try:
                return int(getattr(self._plain, callback)(*args))
            finally:
                self._muted = False
        return recorder.run_callback(callback, getattr(traced, callback), args, call_id, self._line(callback))

    def _end(self) -> None:
        """From now on Kamailio finds the plain handler's methods here."""
        self._recorder.close()
        if self._traced is not None:
            self._traced.retire()
        self._traced = None
        for callback in CALLBACKS:
            setattr(self, callback, getattr(self._plain, callback))
        self._plain.take_over()

    def _line(self, callback: str) -> str:
        if callback in ("ksr_reply_route", "ksr_on_reply"):
            return f"{self._read('$rs')} {self._read('$rr')}"
        return f"{self._read('$rm')} {self._read('$ru')}"

    def _read(self, name: str) -> str:
        try:
            return str(self._ksr.pv.gete(name))
        except Exception:  # noqa: BLE001 - such as text that is not UTF-8; the call goes on
            return "(cannot be shown)"
