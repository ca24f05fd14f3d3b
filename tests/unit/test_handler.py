"""The guards: nothing raised and nothing but an int leaves a callback, and no caller is left without an answer."""

from __future__ import annotations

import sys
from typing import Literal

import pytest

from kemi.branch import Branch, Failure
from kemi.reply import IncomingReply
from kemi.request import Request
from kemi.router import Router, Rule
from kemi.settings import LogSettings, Settings
from kemi.testing.builders import in_dialog, invite, reply, request
from kemi.testing.ksr import FakeKSR
from kemi.verdict import Reply, Verdict
from tests.unit.serving import MakeServer


class Broken(Router):
    """Every decision raises."""

    def answer_symmetrically(self, request: Request) -> Verdict | None:
        raise ZeroDivisionError("a rule of mine")

    def on_branch(self, branch: Branch) -> None:
        raise ZeroDivisionError("a branch of mine")

    def on_any_reply(self, reply: IncomingReply) -> None:
        raise ZeroDivisionError("a reply of mine")

    def on_reply(self, reply: IncomingReply) -> None:
        raise ZeroDivisionError("a reply of mine")

    def on_failure(self, failure: Failure) -> None:
        raise ZeroDivisionError("a failure of mine")


def test_a_rule_that_raises_is_answered_500(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server(router=Broken)
    call = invite("bob")
    answer = server.receive(call)
    assert answer is not None
    assert (answer.code, answer.reason) == (500, "Server Internal Error")
    text = "\n".join(line.text for line in ksr.log if line.level == "err")
    assert str(call.header("Call-ID")) in text
    assert "Traceback" in text
    assert "a rule of mine" in text
    assert server.handler.exceptions == 1


def test_an_ack_is_never_answered(make_server: MakeServer) -> None:
    assert make_server(router=Broken).receive(in_dialog("ACK")) is None


class Choosy(Request):
    """Cannot be made for some methods."""

    __slots__ = ()

    def __init__(self, method: str = "") -> None:
        if method:
            raise ZeroDivisionError("a request of mine")
        super().__init__(method)


class WithChoosyRequest(Router):
    request_type = Choosy


def test_a_request_class_that_raises_is_answered_500(make_server: MakeServer) -> None:
    server = make_server(router=WithChoosyRequest)
    answer = server.receive(invite("bob"))
    assert answer is not None
    assert answer.code == 500
    assert server.receive(in_dialog("ACK")) is None
    assert server.handler.exceptions == 2


@pytest.mark.parametrize("found", [None, (None,), ("register",), 7])
def test_what_are_no_rules_is_refused_when_they_are_loaded(make_server: MakeServer, found: object) -> None:
    class Routes(Router):
        def rules(self) -> tuple[Rule, ...]:
            return found  # type: ignore[return-value]  # the mistake

    with pytest.raises(
        TypeError, match=r"Routes.rules\(\): expected a tuple of methods that take a request, found"
    ):
        make_server(router=Routes)


@pytest.mark.parametrize("callback", ["ksr_on_branch", "ksr_on_reply", "ksr_on_failure", "ksr_reply_route"])
def test_the_other_callbacks_are_guarded(make_server: MakeServer, ksr: FakeKSR, callback: str) -> None:
    server = make_server(router=Broken)
    ksr.receive(reply(200) if "reply" in callback else invite("bob"))
    assert getattr(server.handler, callback)(None) == 1
    assert server.handler.exceptions == 1
    assert not ksr.replies


class LeavesEarly(Router):
    def answer_symmetrically(self, request: Request) -> Verdict | None:
        sys.exit("a habit from the old examples")


class Deep(Router):
    def answer_symmetrically(self, request: Request) -> Verdict | None:
        return self.answer_symmetrically(request)


class Confused(Router):
    def answer_symmetrically(self, request: Request) -> Verdict | None:
        return -255  # type: ignore[return-value]


class Empty(Router):
    def rules(self) -> tuple[Rule, ...]:
        return ()


FOUND = [
    (LeavesEarly, "SystemExit"),
    (Deep, "RecursionError"),
    (Confused, "expected a rule to return a verdict or None, found -255"),
    (Empty, "no rule decided"),
]


@pytest.mark.parametrize(("router", "expected"), FOUND, ids=[row[0].__name__ for row in FOUND])
def test_other_mistakes_are_answered_500_too(
    make_server: MakeServer, ksr: FakeKSR, router: type[Router], expected: str
) -> None:
    answer = make_server(router=router).receive(invite("bob"))
    assert answer is not None
    assert answer.code == 500
    assert any(expected in line.text for line in ksr.log if line.level == "err")


class AnswersThenRaises(Router):
    def answer_symmetrically(self, request: Request) -> Verdict | None:
        request.reply(Reply(486, "Busy Here"))
        raise ZeroDivisionError


def test_what_was_answered_is_not_answered_again(make_server: MakeServer) -> None:
    answer = make_server(router=AnswersThenRaises).receive(invite("bob"))
    assert answer is not None
    assert answer.code == 486


class BreaksItsBranch(Router):
    def on_branch(self, branch: Branch) -> None:
        raise ZeroDivisionError


def test_a_branch_callback_that_raises_lets_the_call_go_on(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server(router=BreaksItsBranch)
    server.register("bob", "sip:bob@198.51.100.20:5060")
    assert server.receive(invite("bob")) is None
    assert len(ksr.relayed) == 1


class BreaksItsAck(Router):
    def on_acknowledge(self, request: Request) -> None:
        raise ZeroDivisionError


def test_an_ack_goes_on_whatever_its_callback_does(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server("WITH_NAT", router=BreaksItsAck)
    server.receive(in_dialog("ACK"))
    assert len(ksr.relayed) == 1
    assert server.handler.exceptions == 1


def test_the_next_request_is_served_after_an_exception(make_server: MakeServer) -> None:
    server = make_server(router=FailsOnce)
    codes = []
    for _ in range(2):
        answer = server.receive(request("OPTIONS", "sip:example.com"))
        codes.append(answer.code if answer else None)
    assert codes == [500, 200]


class FailsOnce(Router):
    failed = False

    def answer_symmetrically(self, request: Request) -> Verdict | None:
        if not self.failed:
            self.failed = True
            raise ZeroDivisionError
        return super().answer_symmetrically(request)


def test_a_refusal_is_logged(make_server: MakeServer, ksr: FakeKSR) -> None:
    call = invite("nobody")
    make_server().receive(call)
    (line,) = [line.text for line in ksr.log if line.level == "info"]
    call_id = call.header("Call-ID")
    assert (
        line.strip() == f"kemi: {call_id} INVITE sip:nobody@example.com to_registered_contacts: 404 Not Found"
    )


@pytest.mark.parametrize(
    ("decisions", "names"),
    {
        "refused": ["nobody"],
        "all": ["sip:example.com answer_keepalive: 200", "drop (scanner)", "nobody"],
        "none": [],
    }.items(),
)
def test_what_is_logged(
    make_server: MakeServer, ksr: FakeKSR, decisions: Literal["refused", "all", "none"], names: list[str]
) -> None:
    server = make_server(settings=Settings(log=LogSettings(decisions=decisions)))
    server.receive(request("OPTIONS", "sip:example.com"))
    server.receive(request("OPTIONS", "sip:100@example.com").with_header("User-Agent", "friendly-scanner"))
    server.receive(invite("nobody"))
    lines = [line.text for line in ksr.log if line.level == "info"]
    assert len(lines) == len(names)
    for name, line in zip(names, lines, strict=True):
        assert name in line


HOSTILE = ["caf\udce9", "nul\0nul", "\udcff\udcfe" * 1000]


@pytest.mark.parametrize("value", HOSTILE, ids=["latin-1", "nul", "long"])
@pytest.mark.parametrize("header", ["User-Agent", "Call-ID", "Event", "Subject"])
def test_odd_bytes_change_no_answer(make_server: MakeServer, header: str, value: str) -> None:
    message = request("SUBSCRIBE", "sip:nobody@example.com").without_header(header).with_header(header, value)
    answer = make_server(router=Router).receive(message)
    assert answer is not None
    assert answer.code == 404


def test_a_scanner_is_found_among_odd_bytes(make_server: MakeServer) -> None:
    message = request("OPTIONS", "sip:example.com").without_header("User-Agent")
    assert make_server().receive(message.with_header("User-Agent", "\udce9 friendly-scanner")) is None


class Starting(Router):
    ranks: list[int] = []  # noqa: RUF012 - shared on purpose

    def start(self, rank: int) -> None:
        self.ranks.append(rank)


def test_start_runs_once_in_each_process(make_server: MakeServer) -> None:
    Starting.ranks.clear()
    handler = make_server(router=Starting).handler
    assert handler.child_init(3) == 0
    assert handler.child_init(3) == 0
    assert Starting.ranks == [3]
    assert handler.rank == 3
