"""What became of one message that a test put through its routes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kemi.testing.journal import Step
from kemi.testing.message import Message
from kemi.testing.state import Call, LogLine, Relay, Reply
from kemi.verdict import Absorb, Drop, Verdict
from kemi.verdict import Relay as RelayVerdict
from kemi.verdict import Reply as ReplyVerdict

# Their lines are told as such; those of level "err" are a traceback, which the test shows.
_LOGGING = ("dbg", "info", "notice", "warn", "err", "crit", "log")

VERDICTS = (ReplyVerdict, RelayVerdict, Drop, Absorb)


@dataclass(eq=False, repr=False)
class Handled:
    """Equal to the verdict that was decided: ``router.handle(invite("bob")) == RELAY``.

    `steps` are the rules and callbacks that ran; `replies`, `relays`, `passed_back`, `media` (command and flags of each
    request to the media relay) and `log` are what this message caused. ``print(handled)`` tells it all.
    """

    message: Message
    steps: list[Step]
    #: KSR calls of the handler, which carried the verdict out.
    carried_out: list[Call]
    replies: list[Reply]
    relays: list[Relay]
    #: The reply that the caller of a relayed request gets through us.
    passed_back: Message | None
    media: list[tuple[str, str]]
    log: list[LogLine]

    @property
    def deciding(self) -> Step | None:
        """The rule that ended the decision; for a failed request the callback that did."""
        decisions = [step for step in self.steps if isinstance(step.result, VERDICTS)]
        return decisions[-1] if decisions else None

    @property
    def verdict(self) -> Verdict | None:
        """What was decided; None for a reply, or where a rule raised."""
        return self.deciding.result if self.deciding else None

    @property
    def rule(self) -> str:
        """The name of the rule that decided, "" if none did."""
        return self.deciding.name if self.deciding else ""

    @property
    def status(self) -> int:
        """The status of the answer that was sent, 0 if none was."""
        return self.replies[-1].code if self.replies else 0

    @property
    def relay(self) -> Relay:
        """What was sent on, if it was sent on once. Raises AssertionError otherwise."""
        assert len(self.relays) == 1, f"expected one relayed message, found {len(self.relays)}:\n{self}"
        return self.relays[0]

    @property
    def reply(self) -> Reply:
        """The answer that was sent, if there was one. Raises AssertionError otherwise."""
        assert len(self.replies) == 1, f"expected one answer, found {len(self.replies)}:\n{self}"
        return self.replies[0]

    @property
    def calls(self) -> list[Call]:
        """All KSR calls for this message, those of each step first."""
        return [call for step in self.steps for call in step.calls] + self.carried_out

    def called(self, name: str) -> list[tuple[str | int, ...]]:
        """The arguments of every call of this KSR function: ``handled.called("sl.send_reply")``."""
        return [call.args for call in self.calls if call.name == name]

    def __eq__(self, other: object) -> bool:
        return self.verdict == other if isinstance(other, VERDICTS) else self is other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        decided = f"{_shown(self.verdict)} by {self.rule}" if self.verdict else "no verdict"
        return f"<{self.message.first_line}: {decided}>"

    def __str__(self) -> str:
        return "\n".join(self.story())

    def story(self) -> Iterator[str]:
        """Line by line: every step with the KSR calls it made, then what went out."""
        host, port = self.message.source
        yield f"{self.message.first_line} from {host}:{port}"
        width = max((len(step.name) for step in self.steps), default=0)
        for step in self.steps:
            yield f"  {step.name:{width}}  {_outcome(step)}"
            yield from (f"      {call}" for call in step.calls)
        if self.carried_out:
            yield "  (the handler)"
            yield from (f"      {call}" for call in self.carried_out if call.name not in _LOGGING)
        yield from (
            f"  logged {line.level}: {line.text.rstrip()}" for line in self.log if line.level != "err"
        )
        yield from (f"  {line}" for line in self.outcome())

    def outcome(self) -> list[str]:
        """What went out, a line each."""
        lines = [f"answered {reply.code} {reply.reason}" for reply in self.replies]
        lines += [f"sent on to {relay.destination} ({relay.message.first_line})" for relay in self.relays]
        if self.passed_back is not None:
            lines.append(f"passed back {self.passed_back.first_line}")
        lines += [f"media relay: {command} {flags!r}" for command, flags in self.media]
        return lines or ["nothing was sent"]


def explain(handled: Handled, expected: Verdict) -> list[str]:
    """Why ``handled == expected`` does not hold: the first lines of pytest's message."""
    asked = [step for step in handled.steps if step.is_rule]
    decided = f"{_shown(handled.verdict)}, by {handled.rule or 'no rule'}"
    lines = [
        f"{_shown(handled.verdict)} == {_shown(expected)}",
        f"  message   {handled.message.first_line}",
        f"  decided   {decided} ({len(asked)} rules asked)",
        *(f"  and       {line}" for line in handled.outcome()[:2]),
    ]
    if handled.deciding:
        # pytest shows eight lines; the whole story stands below the failure.
        because = list(dict.fromkeys(str(call) for call in handled.deciding.calls))
        lines += [f"  after     {line}" for line in because[:3]]
    return lines


def _outcome(step: Step) -> str:
    if step.error is not None:
        return f"raised {type(step.error).__name__}: {step.error}"
    return _shown(step.result) if step.result is not None else "-"


def _shown(verdict: object) -> str:
    """As the log has it; an answer also says whether it goes through a transaction."""
    return f"{verdict}, stateful" if isinstance(verdict, ReplyVerdict) and verdict.stateful else str(verdict)
