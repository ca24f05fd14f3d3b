"""What a trace is made of: wishes, steps, and which events are shown."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from kemi.cli.trace import tree, wanted
from kemi.trace import Event, Recorder, RecordingModule, Step, TracedHandler, Wish, record_rules


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
        datagram.bind(str(tmp_path / "events"))
        datagram.settimeout(2)
        yield datagram


def wish(reader: socket.socket, **values: Any) -> Wish:
    return Wish(**{"id": "1", "socket": reader.getsockname(), "until": time.time() + 60, **values})


def event(call_id: str = "a", what: str = "ksr_request_route", line: str = "OPTIONS sip:b") -> Event:
    return Event("1", 1, 0.0, call_id, line, Step(what))


class FakeModule(ModuleType):
    """KSR as far as these tests call it."""

    def __init__(self) -> None:
        super().__init__("KSR")
        self.tm = SimpleNamespace(t_relay=lambda: 1)
        self.headers = ModuleType("KSR.hdr")
        self.headers.remove = self.fail  # type: ignore[attr-defined]
        self.pv = SimpleNamespace(gete=lambda name: {"$ci": "a", "$rm": "OPTIONS", "$ru": "sip:b"}[name])

    def setuser(self, user: str) -> int:
        return len(user)

    def fail(self, name: str) -> int:
        raise ValueError(name)


def test_a_wish_survives_the_table() -> None:
    made = Wish("1", "/run/x", 12.5, "call", 3)
    assert Wish.from_text(made.to_text()) == made
    assert made.is_over


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "{}", '{"id": "1", "socket": "s", "until": "soon"}', '{"odd": 1}']
)
def test_what_is_no_wish_is_nobodys(text: str) -> None:
    assert Wish.from_text(text) is None


def test_an_event_survives_the_socket() -> None:
    made = event()
    made.step.inside.append(Step("KSR.x()", "1", 5, [Step("y")]))
    assert Event.from_text(made.to_text()) == made


class Plain:
    """A handler that calls KSR."""

    def __init__(self, ksr: Any, name: str) -> None:
        self.ksr = ksr
        self.name = name
        self.called: list[str] = []
        self.retired = False
        self.sees_every_reply = False

    def child_init(self, rank: int) -> int:
        return 0

    def take_over(self, *, every_reply: bool = False) -> None:
        self.sees_every_reply = every_reply

    def retire(self) -> None:
        self.retired = True

    def ksr_request_route(self, _msg: object) -> int:
        self.called.append("request")
        return int(self.ksr.setuser("bob"))

    def ksr_on_reply(self, _msg: object) -> int:
        self.called.append("reply")
        return 1

    ksr_reply_route = ksr_on_branch = ksr_on_failure = ksr_event = ksr_on_reply


def traced(recorder: Recorder) -> tuple[Plain, Plain, TracedHandler]:
    ksr = FakeModule()
    plain, other = Plain(ksr, "plain"), Plain(RecordingModule("KSR", ksr, recorder), "traced")
    return plain, other, TracedHandler(plain, other, recorder, ksr)


def test_calls_of_ksr_are_recorded_with_arguments_and_results(reader: socket.socket) -> None:
    _, _, handler = traced(Recorder(wish(reader)))
    assert handler.ksr_request_route(None) == 3
    sent = Event.from_text(reader.recv(65535).decode())
    assert sent.line == "OPTIONS sip:b"
    (step,) = sent.step.inside
    assert (step.what, step.gave) == ("KSR.setuser('bob')", "3")
    assert 0 < step.took < sent.step.took


def test_after_enough_requests_the_plain_handler_serves_them(reader: socket.socket) -> None:
    plain, other, handler = traced(Recorder(wish(reader, requests=2)))
    for _ in range(5):
        assert handler.ksr_request_route(None) == 3
    assert (len(other.called), len(plain.called)) == (2, 3)


def test_another_call_is_served_by_the_plain_handler(reader: socket.socket) -> None:
    plain, other, handler = traced(Recorder(wish(reader, call_id="b")))
    handler.ksr_request_route(None)
    assert (other.called, plain.called) == ([], ["request"])


def test_when_nobody_reads_any_more_it_is_the_plain_handler_again(reader: socket.socket) -> None:
    plain, other, handler = traced(Recorder(wish(reader, requests=9)))
    Path(reader.getsockname()).unlink()
    assert handler.ksr_request_route(None) == 3
    assert handler.ksr_request_route(None) == 3
    assert (other.called, plain.called) == (["request"], ["request"])
    assert other.retired
    assert handler.ksr_request_route == plain.ksr_request_route
    assert handler.ksr_on_reply == plain.ksr_on_reply


def test_when_time_is_up_it_is_the_plain_handler_again(reader: socket.socket) -> None:
    plain, other, handler = traced(Recorder(wish(reader, until=time.time())))
    assert plain.sees_every_reply
    handler.ksr_on_reply(None)
    assert not plain.sees_every_reply
    assert (other.called, plain.called) == ([], ["reply"])
    assert handler.ksr_request_route == plain.ksr_request_route


def test_a_full_socket_loses_events_and_says_so(reader: socket.socket) -> None:
    _, _, handler = traced(Recorder(wish(reader, requests=5000)))
    for _ in range(1000):
        handler.ksr_request_route(None)
    reader.settimeout(0.01)
    received = 0
    while True:
        try:
            reader.recv(65535)
        except TimeoutError:
            break
        received += 1
    handler.ksr_request_route(None)
    assert Event.from_text(reader.recv(65535).decode()).lost == 1000 - received > 0


def test_an_event_is_cut_before_it_outgrows_a_datagram(reader: socket.socket) -> None:
    recorder = Recorder(wish(reader))
    ksr = RecordingModule("KSR", FakeModule(), recorder)

    def many(_msg: object) -> int:
        for _ in range(5000):
            ksr.setuser("x" * 500)
        return 1

    assert recorder.run_callback("ksr_request_route", many, (None,), "a", "line") == 1
    assert len(Event.from_text(reader.recv(1 << 18).decode()).step.inside) < 301


def test_an_exception_of_ksr_is_shown_and_goes_on(reader: socket.socket) -> None:
    recorder = Recorder(wish(reader))
    ksr = RecordingModule("KSR", FakeModule(), recorder)
    with pytest.raises(ValueError, match="Route"):
        recorder.run_callback("ksr_request_route", ksr.headers.remove, ("Route",), "a", "line")
    assert Event.from_text(reader.recv(65535).decode()).step.gave == "raised ValueError: Route"


def test_what_ksr_does_not_have_the_recording_one_does_not_have(reader: socket.socket) -> None:
    ksr = RecordingModule("KSR", FakeModule(), Recorder(wish(reader)))
    assert not hasattr(ksr, "dlgs")
    assert hasattr(ksr, "tm")


def test_rules_are_recorded_also_when_one_calls_another(reader: socket.socket) -> None:
    class Rules:
        def rules(self) -> tuple[Any, ...]:
            return (self.first, self.second)

        def first(self, request: object) -> str | None:
            return self.second(request)

        def second(self, _request: object) -> str | None:
            return "verdict"

    recorder, router = Recorder(wish(reader)), Rules()
    record_rules(router, recorder)
    recorder.run_callback("ksr_request_route", lambda _: router.rules()[0](None) and 1, (None,), "a", "line")
    step = Event.from_text(reader.recv(65535).decode()).step
    assert step.inside[0].what == "first"
    assert step.inside[0].inside[0].what == "second"


def test_the_first_requests_are_shown_with_all_of_their_calls() -> None:
    found = [event("a"), event("b"), event("a", "ksr_on_reply"), event("b", "ksr_on_reply"), event("c")]
    assert [each.call_id for each in wanted(iter(found), 2, "")] == ["a", "b", "a", "b"]


def test_a_reply_that_overtakes_its_request_is_shown_after_it() -> None:
    found = [event("x", "ksr_on_reply"), event("a", "ksr_on_reply"), event("a"), event("a", "ksr_on_failure")]
    shown = [(each.call_id, each.step.what) for each in wanted(iter(found), 1, "")]
    assert shown == [("a", "ksr_request_route"), ("a", "ksr_on_reply"), ("a", "ksr_on_failure")]


def test_waiting_for_replies_ends() -> None:
    def quiet() -> Iterator[Event | None]:
        yield event("a")
        while True:
            yield None

    assert len(list(wanted(quiet(), 1, "", linger=0.01))) == 1


def test_the_tree_shows_text_of_strangers_as_it_is() -> None:
    made = event(line="OPTIONS sip:[bold]x")
    made.step.inside.append(Step("greet", "raised ValueError: [/]"))
    labels = [str(tree(made).label), str(tree(made).children[0].children[0].label)]
    assert "sip:\\[bold]x" in labels[0]
    assert "raised ValueError: \\[/]" in labels[1]
