"""Loaded by Kamailio: calls the KSR functions that a datagram of the test names and sends back what they gave.

A message carries `X-Ask: NAME`; the questions file holds under that name the calls to make, each a list of the
function and its arguments, and under NAME-branch, NAME-reply and NAME-failure those to make in the
callbacks of its transaction. The answers go to the test's
socket as JSON.
"""

import json
import os
import socket
from typing import Any

import KSR

PORT = int(os.environ["ORACLE_PORT"])


def tell(what: dict[str, Any]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(json.dumps(what).encode(), ("127.0.0.1", PORT))


def call(function: str, arguments: list[str | int]) -> dict[str, Any]:
    target: Any = KSR
    try:
        for part in function.split("."):
            target = getattr(target, part)
        value = target(*arguments)
    except (AttributeError, SystemError, TypeError, ValueError) as error:
        return {"error": type(error).__name__}
    return {"value": value, "type": type(value).__name__}


def answer(route: str = "") -> int:
    name = f"{KSR.hdr.get('X-Ask')}{route}"
    with open(os.environ["ORACLE_QUESTIONS"], encoding="utf-8") as file:
        calls = json.load(file)[name]
    tell({"name": name, "answers": [call(function, arguments) for function, *arguments in calls]})
    return 1


def functions() -> list[str]:
    """Every function of this KSR, as the fake's list names it."""
    names: list[str] = []
    for name in dir(KSR):
        family = getattr(KSR, name)
        if name.startswith("__"):
            continue
        if callable(family):
            names.append(name)
        else:
            names += [f"{name}.{function}" for function in dir(family) if not function.startswith("__")]
    return names


class Oracle:
    def child_init(self, rank: int) -> int:
        if rank == 1:
            tell({"name": "ready", "functions": functions()})
        return 0

    def ksr_request_route(self, _message: object) -> int:
        return answer()

    def ksr_reply_route(self, _message: object) -> int:
        return answer()

    def ksr_on_branch(self, _message: object) -> int:
        return answer("-branch")

    def ksr_on_reply(self, _message: object) -> int:
        return answer("-reply")

    def ksr_on_failure(self, _message: object) -> int:
        return answer("-failure")

    def ksr_onsend_route(self, _message: object) -> int:
        return 1


def mod_init() -> Oracle:
    return Oracle()
