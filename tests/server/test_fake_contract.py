"""The fake KSR against a real Kamailio: both are asked the same questions about the same messages."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from kemi.stubs.exports import exports
from kemi.testing.builders import sdp
from kemi.testing.fake_auth import authorize
from kemi.testing.ksr import FakeKSR
from kemi.testing.message import Message
from kemi.testing.relay import Relay
from tests.parity.root import Root
from tests.server.oracle import media, questions, reading, remaining, state
from tests.server.oracle.compare import MODULES, ask_fake, both, fake_of, filled_call, wire
from tests.server.oracle.departures import DEPARTURES, ENDINGS, TO_SENDER
from tests.server.oracle.messages import BARE, INVITE, Question, Scenario
from tests.server.oracle.server import DEADLINE, Oracle
from tests.server.rtpengine import RtpEngine

SCENARIOS = [
    *questions.method_questions(),
    *questions.nat_questions(),
    *questions.dialog_questions(),
    *media.media_questions(),
    *reading.reading_questions(),
    *state.state_questions(),
    *state.transactions(),
    *state.registrations(),
    *remaining.remaining_questions(),
]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory, root: Root) -> Iterator[Oracle]:
    folder = tmp_path_factory.mktemp("oracle")
    with Relay(folder) as relay, RtpEngine(folder) as rtpengine:
        started = Oracle(folder, relay.control, rtpengine.control, root)
        try:
            yield started
        finally:
            started.stop()


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        yield udp


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_fake_answers_like_kamailio(oracle: Oracle, sender: socket.socket, scenario: Scenario) -> None:
    real, fake = both(oracle, sender, scenario)
    differences = [
        f"{question}: Kamailio {answer}, fake {faked}"
        for (question, answer), (_, faked) in zip(real, fake, strict=True)
        if answer != faked
    ]
    assert differences == []


DIGESTS: dict[str, tuple[str, str, str, str]] = {
    "right": ("REGISTER", "alice", "secret", ""),
    "wrong password": ("REGISTER", "alice", "guess", ""),
    "another user": ("REGISTER", "bob", "secret", ""),
    "another user's own password": ("REGISTER", "bob", "hunter2", ""),
    "unknown user": ("REGISTER", "mallory", "secret", ""),
    "nonce never issued": ("REGISTER", "alice", "secret", "x"),
    "right with qop": ("REGISTER", "alice", "secret", ""),
    "right in a request": ("MESSAGE", "alice", "secret", ""),
}


DIGEST_QUESTIONS: list[Question] = [
    ("auth_db.auth_check", "example.com", "subscriber", 0),
    ("auth_db.auth_check", "example.com", "subscriber", 1),
    ("auth_db.auth_check", "other.example", "subscriber", 1),
    ("auth.pv_auth_check", "example.com", "secret", 0, 0),
    ("auth.pv_auth_check", "example.com", "secret", 0, 1),
    ("auth.consume_credentials",),
]


@pytest.mark.parametrize("label", DIGESTS)
def test_digests_are_checked_like_kamailio_does(oracle: Oracle, sender: socket.socket, label: str) -> None:
    method, user, password, nonce = DIGESTS[label]
    scenario = label.replace(" ", "-").replace("'", "")
    challenged = [("auth.auth_challenge", "example.com", 0)]
    oracle.ask(sender, wire(BARE, oracle, f"{scenario}-1"), f"{scenario}-1", [("force_rport",), *challenged])
    sender.settimeout(DEADLINE)
    issued = re.findall(r'nonce="([^"]*)"', sender.recv(65535).decode())[0]

    text = BARE.replace("<sip:127.0.0.1>", "<sip:alice@example.com>").replace("OPTIONS", method)
    plain = Message.parse(wire(text, oracle, f"{scenario}-2"))
    qop = label.endswith("qop")
    message = authorize(plain, user, password, realm="example.com", nonce=nonce or issued, qop=qop)
    real = oracle.ask(sender, bytes(message), f"{scenario}-2", DIGEST_QUESTIONS)
    fake = fake_of(oracle)
    fake.nonces.add(issued)
    fake.receive(message)
    assert ask_fake(fake, DIGEST_QUESTIONS) == real


class Branches:
    """A handler whose branch callback makes the calls of the test."""

    def __init__(self, fake: FakeKSR, calls: list[Question]) -> None:
        self.fake, self.calls = fake, calls
        self.answers: list[Any] = []

    def ksr_on_branch(self, _message: object) -> int:
        self.answers = ask_fake(self.fake, self.calls)
        return 1


@pytest.mark.parametrize("label", DEPARTURES)
def test_what_leaves_is_what_kamailio_sends(oracle: Oracle, sender: socket.socket, label: str) -> None:
    template, calls, branch_calls = DEPARTURES[label]
    source = sender.getsockname()
    data = wire(template, oracle, label, source[1])
    calls = [filled_call(call, label, oracle, source[1]) for call in calls]
    calls = [("tm.t_on_branch", "ksr_on_branch"), *calls, ("tm.t_relay",)]
    oracle.prepare({label: calls, f"{label}-branch": branch_calls})
    sender.sendto(data, (oracle.address, 5060))
    real_branch = oracle.await_answer(f"{label}-branch")["answers"]
    real = oracle.await_answer(label)["answers"]

    fake = fake_of(oracle)
    fake.handler = branches = Branches(fake, branch_calls)
    fake.receive(Message.parse(data, source=source, destination=(oracle.address, 5060)))
    assert ask_fake(fake, calls) == real
    assert branches.answers == real_branch
    sender.settimeout(DEADLINE)
    # For an INVITE the caller, here the same socket, gets 100 first.
    received = [Message.parse(sender.recv(65535)) for _ in range(1 + template.startswith("INVITE"))]
    (sent,) = [message for message in received if not message.is_reply]
    sent.headers.remove(("Via", sent.header_values("Via")[0]))
    (relay,) = fake.relayed
    assert without_server_marks(sent) == without_server_marks(relay.message)


class Callbacks(Branches):
    """The callbacks that the handler of the test names; what they do is asked for by the test itself."""

    def ksr_on_reply(self, _message: object) -> int:
        return 1

    def ksr_on_failure(self, _message: object) -> int:
        return 1


@pytest.mark.parametrize("label", ENDINGS)
def test_an_answer_is_handled_like_in_kamailio(oracle: Oracle, sender: socket.socket, label: str) -> None:
    status, core_calls, reply_calls, failure_calls = ENDINGS[label]
    source = sender.getsockname()
    call = wire(TO_SENDER, oracle, label, source[1])
    relay: list[Question] = [("setflag", 5), ("setbflag", 6)]
    relay += [("tm.t_on_reply", "ksr_on_reply"), ("tm.t_on_failure", "ksr_on_failure"), ("tm.t_relay",)]
    answered = f"{label}-answered"
    oracle.prepare(
        {
            label: relay,
            answered: core_calls,
            f"{answered}-reply": reply_calls,
            f"{label}-failure": failure_calls,
        }
    )
    sender.settimeout(DEADLINE)
    sender.sendto(call, (oracle.address, 5060))
    real = [oracle.await_answer(label)["answers"]]
    received = [Message.parse(sender.recv(65535)) for _ in range(2)]
    (sent,) = [message for message in received if not message.is_reply]
    answer = Message(
        sent.method, status=status, reason="Answer", source=source, destination=(oracle.address, 5060)
    )
    answer.headers = [
        (name, value) for name, value in sent.headers if name in ("Via", "From", "Call-ID", "CSeq")
    ]
    answer.headers += [
        ("To", f"{sent.header('To')};tag=tt1"),
        ("Contact", "<sip:bob@10.0.0.5>"),
        ("X-Ask", answered),
    ]
    answer.body = sdp() if status == 200 else ""
    answer.headers += [("Content-Type", "application/sdp"), ("Content-Length", str(len(answer.body)))]
    sender.sendto(bytes(answer), (oracle.address, 5060))
    real += [oracle.await_answer(answered)["answers"], oracle.await_answer(f"{answered}-reply")["answers"]]

    fake = fake_of(oracle)
    fake.handler = Callbacks(fake, [])
    fake.receive(Message.parse(call, source=source, destination=(oracle.address, 5060)))
    faked = [ask_fake(fake, relay)]
    fake.receive(answer)
    faked.append(ask_fake(fake, core_calls))
    fake.receive(answer, in_transaction=True)
    faked.append(ask_fake(fake, reply_calls))
    if failure_calls:
        real.append(oracle.await_answer(f"{label}-failure")["answers"])
        fake.fail(status)
        faked.append(ask_fake(fake, failure_calls))
    assert faked == real


def without_server_marks(message: Message) -> tuple[str, list[tuple[str, str]], str]:
    """What rules decide: request-URI, headers but for what Kamailio adds to the Via it received, body."""
    marks = re.compile(r";(rport|received)(=[^;]*)?")
    headers = [(name, marks.sub("", value) if name == "Via" else value) for name, value in message.headers]
    return message.uri, headers, message.body


# What is no error there comes back as a log line and False, but for what is in LET_PASS.
WRONG_CALLS: list[Question] = [
    ("setflag",),
    ("setflag", "x"),
    ("setflag", 1, 2),
    ("is_method",),
    ("pv.get", 1),
    ("err", "a\0b"),
    ("hdr.append", "X: \0\r\n"),
    ("sl.send_reply", "200", "OK"),
    ("rr.check_route_param",),
    ("htable.sht_seti", "ipban", "k", "3"),
    ("no_such_function",),
    ("sl.no_such_function",),
    ("no_such_module.function",),
    ("presence.handle_subscribe",),
]


#: What Kamailio 6 takes all the same: one argument too many, and a text up to its NUL.
LET_PASS: dict[Question, object] = {
    ("setflag", 1, 2): True,
    ("err", "a\0b"): 0,
    ("hdr.append", "X: \0\r\n"): 1,
}


@pytest.mark.parametrize("call", WRONG_CALLS, ids=lambda call: repr(call))
def test_a_wrong_call_is_an_error_of_the_fake_whatever_kamailio_makes_of_it(
    oracle: Oracle, sender: socket.socket, call: Question
) -> None:
    real, fake = both(oracle, sender, Scenario("wrong", [(INVITE, [call])]))
    assert "error" in fake[0][1]
    if oracle.version == "5.6" or "error" in real[0][1]:
        assert fake == real
    else:
        assert real[0][1]["value"] == LET_PASS.get(call, False)


#: Functions that are younger than the oldest Kamailio.
YOUNG: list[Question] = [("auth.www_challenge", "example.com", 0), ("sl.send_reply_error",)]


@pytest.mark.parametrize("call", YOUNG, ids=lambda call: str(call[0]))
def test_a_function_is_there_from_its_version_on(
    oracle: Oracle, sender: socket.socket, call: Question
) -> None:
    real, fake = both(oracle, sender, Scenario("young", [(INVITE, [call])]))
    assert fake == real
    assert ("error" in real[0][1]) == (oracle.version == "5.6")


def test_every_function_that_the_fake_knows_is_compared(oracle: Oracle) -> None:
    fake = fake_of(oracle)
    known = {
        name for name, export in fake.exports.items() if export.module in fake.modules and fake.computes(name)
    }
    compared = [call for scenario in SCENARIOS for _, calls in scenario.exchanges for call in calls]
    compared += [call for _, before, branch in DEPARTURES.values() for call in [*before, *branch]]
    compared += [*DIGEST_QUESTIONS, *YOUNG, *(call for call, _ in SILENT_IN_KAMAILIO.values())]
    assert known - {str(call[0]) for call in compared} == set()


def test_hundreds_of_questions_are_compared() -> None:
    questions = {
        (message, call) for scenario in SCENARIOS for message, calls in scenario.exchanges for call in calls
    }
    assert len(questions) > 2500


def test_the_list_of_exports_is_that_of_the_server(oracle: Oracle) -> None:
    loaded = {"core", *MODULES}
    listed = {name for name, export in exports(oracle.version).items() if export.module in loaded}
    # x.modf calls functions of the cfg language; KEMI does not export it.
    assert oracle.functions - {"x.modf"} == listed


SILENT_IN_KAMAILIO: dict[str, tuple[Question, object]] = {
    "unknown pseudo-variable": (("pv.get", "$nope"), None),
    "pseudo-variable without dollar": (("pv.get", "ru"), None),
    "read-only pseudo-variable": (("pv.sets", "$ci", "x"), True),
    "unknown method": (("is_method", "FOO"), False),
    "unknown method letter": (("is_method_in", "X"), False),
    "flag out of range": (("setflag", 32), False),
    "htable that is not defined": (("htable.sht_sets", "nope", "k", "v"), -1),
    "header without a value": (("hdr.append", "X-A"), 1),
    "status that SIP lacks": (("sl.send_reply", 99, "x"), 1),
    "test that deletes the AVP": (("pvx.avp_is_null", "x"), 1),
    "subscribers without columns to load": (
        ("auth_db.is_subscriber", "sip:alice@example.com", "subscriber", 0),
        -1,
    ),
    "argument too many": (("is_INVITE", 1), True),
}


@pytest.mark.parametrize("label", SILENT_IN_KAMAILIO)
def test_the_fake_refuses_what_kamailio_lets_pass(oracle: Oracle, sender: socket.socket, label: str) -> None:
    call, answer = SILENT_IN_KAMAILIO[label]
    real, fake = both(oracle, sender, Scenario("strict", [(INVITE, [call])]))
    assert real[0][1].get("value") == answer
    assert "error" in fake[0][1]
