"""Asking the real Kamailio and the fake the same."""

from __future__ import annotations

import socket
from typing import Any

from kemi.testing.ksr import FakeKSR
from kemi.testing.message import Message
from tests.server.oracle.messages import Question, Scenario
from tests.server.oracle.server import SUBSCRIBERS, Oracle

_MODULES = """
app_python3 auth auth_db corex htable kemix maxfwd mqueue nathelper pike pv registrar rr rtpengine rtpproxy
sanity siputils sl textops textopsx tm tmx usrloc
"""
MODULES = _MODULES.split()


def fake_of(oracle: Oracle) -> FakeKSR:
    fake = FakeKSR(
        oracle.version,
        modules=MODULES,
        defines={"ORACLE": "", "GREETING": '"good day"'},
        own=(f"{oracle.address}:5060", "example.com"),
        htables=("ipban",),
        queues={"line": 2},
    )
    fake.subscribers = dict(SUBSCRIBERS)
    fake.append_fromtag = True
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


def filled_call(call: Question, scenario: str, oracle: Oracle, port: int) -> Question:
    return tuple(filled(part, scenario, oracle, port) if isinstance(part, str) else part for part in call)


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
        calls = [filled_call(call, scenario.name, oracle, source[1]) for call in template_calls]
        fake.receive(Message.parse(data, source=source, destination=(oracle.address, 5060)))
        real = oracle.ask(sender, data, name, calls)
        real_answers += list(zip(calls, real, strict=True))
        fake_answers += list(zip(calls, ask_fake(fake, calls), strict=True))
    return real_answers, fake_answers


def wire(template: str, oracle: Oracle, name: str, port: int = 0) -> bytes:
    text = filled(template.replace("ASK", name), name, oracle, port)
    return text.replace("\n", "\r\n").encode("utf-8", "surrogateescape")
