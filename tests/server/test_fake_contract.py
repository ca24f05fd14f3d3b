"""The fake KSR against a real Kamailio: both are asked the same questions about the same messages."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kemi.testing.exports import exports
from kemi.testing.fake_auth import authorize
from kemi.testing.ksr import FakeKSR
from kemi.testing.message import Message
from tests.server import fake_questions, fake_scenarios
from tests.server.fake_questions import BARE, INVITE, Question, Scenario
from tests.server.fake_scenarios import DEPARTURES

HERE = Path(__file__).parent / "oracle"
MODULES = [
    "app_python3",
    "auth",
    "corex",
    "htable",
    "kemix",
    "maxfwd",
    "nathelper",
    "pike",
    "pv",
    "registrar",
    "rr",
    "rtpproxy",
    "sanity",
    "siputils",
    "sl",
    "textops",
    "textopsx",
    "tm",
    "tmx",
    "usrloc",
]
DEADLINE = 10.0

SCENARIOS = [
    *fake_questions.method_questions(),
    *fake_questions.nat_questions(),
    *fake_questions.dialog_questions(),
    *fake_questions.reading_questions(),
    *fake_scenarios.state_questions(),
    *fake_scenarios.transactions(),
    *fake_scenarios.registrations(),
]


class Oracle:
    """A Kamailio on an address of its own (127.0.0.0/8), whose script sends its answers to our socket."""

    def __init__(self, folder: Path) -> None:
        self.address = "127." + ".".join(str(random.randint(1, 254)) for _ in range(3))
        self.questions = folder / "questions.json"
        self.log = folder / "kamailio.log"
        self.asked = 0
        self.answers = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.answers.bind(("127.0.0.1", 0))
        self.answers.settimeout(DEADLINE)
        port = self.answers.getsockname()[1]
        environment = {**os.environ, "ORACLE_PORT": str(port), "ORACLE_QUESTIONS": str(self.questions)}
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "kamailio",
            "-f",
            str(HERE / "kamailio.cfg"),
            "-DD",
            "-E",
        ]
        command += ["-m", "16", "-M", "4", "-Y", str(folder), "-l", f"udp:{self.address}:5060"]
        command += ["-A", f'ORACLE_SCRIPT="{HERE / "answers.py"}"']
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        #: Names of all functions that this server exports to Python.
        self.functions: set[str] = set(self.await_answer("ready")["functions"])

    def await_answer(self, name: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(self.answers.recv(65535))
        except TimeoutError:
            pytest.fail(
                f"Kamailio sent no answer {name!r} within {DEADLINE} s; its log ends:\n{self.log_tail()}"
            )
        assert answer["name"] == name
        return answer

    def prepare(self, questions: dict[str, list[Question]]) -> None:
        self.questions.write_text(json.dumps(questions))

    def ask(self, sender: socket.socket, data: bytes, name: str, calls: list[Question]) -> list[Any]:
        if self.process.poll() is not None:
            pytest.fail(
                f"Kamailio has ended with code {self.process.returncode}; its log ends:\n{self.log_tail()}"
            )
        self.prepare({name: calls})
        sender.sendto(data, (self.address, 5060))
        answers: list[Any] = self.await_answer(name)["answers"]
        return answers

    def log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.answers.close()


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    started = Oracle(tmp_path_factory.mktemp("oracle"))
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        yield udp


@cache
def installed_version() -> str:
    """The Kamailio on this machine, "5.6"."""
    told = subprocess.run(["kamailio", "-v"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"kamailio (\d+\.\d+)", told)
    assert match, f"expected 'version: kamailio 5.6.3', found {told[:80]!r}"
    return match[1]


def fake_of(oracle: Oracle) -> FakeKSR:
    fake = FakeKSR(
        installed_version(),
        modules=MODULES,
        defines={"ORACLE": "", "GREETING": '"good day"'},
        own=(f"{oracle.address}:5060", "example.com"),
        htables=("ipban",),
    )
    # The server of the test has no relay: the only answer that the fake cannot work out.
    fake.answer("rtpproxy.rtpproxy_manage", -1)
    return fake


def ask_fake(fake: FakeKSR, calls: list[Question]) -> list[Any]:
    answers: list[Any] = []
    for function, *arguments in calls:
        try:
            value = fake.call(str(function), *arguments)
        except UnicodeDecodeError:
            answers.append({"error": "UnicodeDecodeError"})
        except AttributeError:
            answers.append({"error": "AttributeError"})
        except (TypeError, ValueError):
            # app_python3 of 5.6 hides what Python's argument parser said.
            answers.append({"error": "SystemError"})
        else:
            answers.append({"value": value, "type": type(value).__name__})
    return answers


def filled(text: str, scenario: str, oracle: Oracle, port: int) -> str:
    for placeholder, value in {"NAME": scenario, "OWN": oracle.address, "PORT": str(port)}.items():
        text = text.replace(placeholder, value)
    return text


def both(oracle: Oracle, sender: socket.socket, scenario: Scenario) -> tuple[list[Any], list[Any]]:
    """What the server and what the fake answer to a scenario, one list each, with the question before the answer."""
    fake = fake_of(oracle)
    source = sender.getsockname()
    real_answers: list[Any] = []
    fake_answers: list[Any] = []
    for template, template_calls in scenario.exchanges:
        oracle.asked += 1
        name = f"{scenario.name}-{oracle.asked}"
        text = filled(template, scenario.name, oracle, source[1]).replace("ASK", name)
        data = text.replace("\n", "\r\n").encode("utf-8", "surrogateescape")
        calls: list[Question] = [
            tuple(
                filled(part, scenario.name, oracle, source[1]) if isinstance(part, str) else part
                for part in call
            )
            for call in template_calls
        ]
        fake.receive(Message.parse(data, source=source, destination=(oracle.address, 5060)))
        real = oracle.ask(sender, data, name, calls)
        real_answers += list(zip(calls, real, strict=True))
        fake_answers += list(zip(calls, ask_fake(fake, calls), strict=True))
    return real_answers, fake_answers


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
    "nonce never issued": ("REGISTER", "alice", "secret", "x"),
    "right in a request": ("MESSAGE", "alice", "secret", ""),
}


@pytest.mark.parametrize("label", DIGESTS)
def test_digests_are_checked_like_kamailio_does(oracle: Oracle, sender: socket.socket, label: str) -> None:
    method, user, password, nonce = DIGESTS[label]
    ask: list[Question] = [
        ("auth.pv_auth_check", "example.com", "secret", 0, 0),
        ("auth.pv_auth_check", "example.com", "secret", 0, 1),
        ("auth.consume_credentials",),
    ]
    scenario = label.replace(" ", "-")
    challenged = [("auth.auth_challenge", "example.com", 0)]
    oracle.ask(sender, wire(BARE, oracle, f"{scenario}-1"), f"{scenario}-1", [("force_rport",), *challenged])
    sender.settimeout(DEADLINE)
    issued = re.findall(r'nonce="([^"]*)"', sender.recv(65535).decode())[0]

    text = BARE.replace("<sip:127.0.0.1>", "<sip:alice@example.com>").replace("OPTIONS", method)
    plain = Message.parse(wire(text, oracle, f"{scenario}-2"))
    message = authorize(plain, user, password, realm="example.com", nonce=nonce or issued)
    real = oracle.ask(sender, bytes(message), f"{scenario}-2", ask)
    fake = fake_of(oracle)
    fake.nonces.add(issued)
    fake.receive(message)
    assert ask_fake(fake, ask) == real


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
    calls = [
        tuple(str(a).replace("PORT", str(source[1])) if isinstance(a, str) else a for a in c) for c in calls
    ]
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


def without_server_marks(message: Message) -> tuple[str, list[tuple[str, str]], str]:
    """What rules decide: request-URI, headers but for what Kamailio adds to the Via it received, body."""
    marks = re.compile(r";(rport|received)(=[^;]*)?")
    headers = [(name, marks.sub("", value) if name == "Via" else value) for name, value in message.headers]
    return message.uri, headers, message.body


def wire(template: str, oracle: Oracle, name: str, port: int = 0) -> bytes:
    text = filled(template.replace("ASK", name), name, oracle, port)
    return text.replace("\n", "\r\n").encode("utf-8", "surrogateescape")


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
    ("auth.www_challenge", "example.com", 0),
    ("presence.handle_subscribe",),
]


@pytest.mark.parametrize("call", WRONG_CALLS, ids=lambda call: repr(call))
def test_a_wrong_call_is_an_error_in_both(oracle: Oracle, sender: socket.socket, call: Question) -> None:
    real, fake = both(oracle, sender, Scenario("wrong", [(INVITE, [call])]))
    # Up to 5.6 an exception; from 5.7 on only a log line and the value False.
    assert real[0][1].get("value", False) is False
    assert "error" in fake[0][1]
    if installed_version() == "5.6":
        assert fake == real


def test_the_list_of_exports_is_that_of_the_server(oracle: Oracle) -> None:
    loaded = {"core", *MODULES}
    listed = {name for name, export in exports(installed_version()).items() if export.module in loaded}
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
    "argument too many": (("is_INVITE", 1), True),
}


@pytest.mark.parametrize("label", SILENT_IN_KAMAILIO)
def test_the_fake_refuses_what_kamailio_lets_pass(oracle: Oracle, sender: socket.socket, label: str) -> None:
    call, answer = SILENT_IN_KAMAILIO[label]
    real, fake = both(oracle, sender, Scenario("strict", [(INVITE, [call])]))
    assert real[0][1].get("value") == answer
    assert "error" in fake[0][1]
