"""The user's own rules: edit, make reload, and the next message is theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemi.testing.client import Client
from tests.compose.phone import ask, phone
from tests.compose.stack import PHONES, Stack

_PREMIUM = """\
from kemi.request import Request
from kemi.router import Router
from kemi.verdict import Reply, Verdict


class Routes(Router):
    def answer_keepalive(self, request: Request) -> Verdict | None:
        return Reply(403, "As you wish") if request.uri_user == "0900" else super().answer_keepalive(request)
"""


@pytest.fixture
def caller(stack: Stack) -> Iterator[Client]:
    with phone(stack, "carol", PHONES[-1], inside="") as client:
        yield client


@pytest.fixture(autouse=True)
def routes_restored(stack: Stack) -> Iterator[None]:
    file = stack.folder / "routes/routes.py"
    before = file.read_text()
    yield
    file.write_text(before)
    stack.make("reload")


def test_an_edit_serves_the_next_message_after_make_reload(stack: Stack, caller: Client) -> None:
    def status() -> int:
        return ask(caller, caller.request("OPTIONS", f"sip:0900@{stack.env['SIP_DOMAIN']}")).status

    assert status() != 403
    (stack.folder / "routes/routes.py").write_text(_PREMIUM)
    stack.make("reload")
    for _ in range(8):  # more than there are workers
        assert status() == 403


def test_the_commented_example_of_the_starting_point_is_a_working_rule(stack: Stack) -> None:
    # Its commented example, without the comment signs, is a working rule.
    file = stack.folder / "routes/routes.py"
    text = file.read_text()
    file.write_text(text.replace("# ", ""))
    said = stack.make("reload")
    assert "failed" not in said
    assert "def to_registered_contacts" in file.read_text()
