"""Whatever a user's rule does, the caller gets an answer and the next message is served."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemi.testing.client import Client
from kemi.testing.dialog import Dialog, call, hang_up
from kemi.testing.message import Message
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers

# The header X-Fail names the place that fails, and how.
ROUTES = """
import sys

import KSR

from kemi.router import Router
from kemi.verdict import Reply


class Trouble(Exception):
    pass


def forever(request):
    return forever(request)


class Routes(Router):
    def rules(self):
        return (self.fails, *super().rules())

    def fails(self, request):
        match KSR.hdr.gete("X-Fail"):
            case "raise":
                raise Trouble("in a rule")
            case "exit":
                sys.exit("from a rule")
            case "interrupt":
                raise KeyboardInterrupt
            case "recursion":
                return forever(request)
            case "number":
                return 42
            case "true":
                return True
            case "bytes":
                return KSR.pv.get("$ua")
            case "odd text":
                raise Trouble("NUL \\0, surrogate \\udcff, percent %s %n")
            case "no text":
                class Unprintable(Exception):
                    def __str__(self):
                        raise Trouble("in __str__")
                raise Unprintable
            case "after answer":
                request.reply(Reply(299, "Answered"))
                raise Trouble("after an answer")
        return None

    def on_branch(self, branch):
        self.fail_in("on_branch")
        super().on_branch(branch)

    def on_any_reply(self, reply):
        self.fail_in("on_any_reply")
        super().on_any_reply(reply)

    def on_reply(self, reply):
        self.fail_in("on_reply")
        super().on_reply(reply)

    def on_failure(self, failure):
        self.fail_in("on_failure")
        super().on_failure(failure)

    def fail_in(self, place):
        if KSR.hdr.gete("X-Fail") == place:
            raise Trouble("in " + place)
"""


@pytest.fixture(scope="module")
def server(start_shared: Servers) -> KamailioServer:
    return start_shared(routes=ROUTES)


@pytest.fixture
def alice(server: KamailioServer) -> Iterator[Client]:
    with Client(server) as client:
        yield client


@pytest.fixture
def bob(server: KamailioServer) -> Iterator[Client]:
    with Client(server, "bob") as client:
        assert client.register().status == 200
        yield client
        assert client.register(expires=0).status == 200


@pytest.fixture(autouse=True)
def _no_process_dies(server: KamailioServer) -> Iterator[None]:
    # Right after the start the last may not be there yet.
    before = {worker.pid for worker in server.workers()}
    yield
    assert before <= {worker.pid for worker in server.workers()}


def exception_of(server: KamailioServer, request: Message, last_line: str) -> str:
    """The log from the exception in this call on, once its `last_line` is there."""
    begins = f"of this process, call {request.header('Call-ID')} ({request.method} from "
    logged = server.wait_for_log(begins)
    return server.wait_for_log(last_line, start=logged.index(begins))


def assert_served(server: KamailioServer, client: Client) -> None:
    # Often enough for each worker to have its turn.
    for _ in range(6):
        assert client.ask("OPTIONS", server.uri).status == 200


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE", "REGISTER", "BYE"])
def test_a_rule_that_raises_answers_500_within_a_second(
    server: KamailioServer, alice: Client, method: str
) -> None:
    request = alice.request(method, "sip:bob@example.com", headers={"X-Fail": "raise"})
    alice.send(request)
    answer = alice.final(request, seconds=1)
    assert (answer.status, answer.reason) == (500, "Server Internal Error")
    report = exception_of(server, request, "Trouble: in a rule")
    assert "Traceback (most recent call last):" in report
    assert "my_routes.py" in report
    assert "in fails" in report
    assert_served(server, alice)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("exit", "SystemExit: from a rule"),
        ("interrupt", "KeyboardInterrupt"),
        ("recursion", "RecursionError: maximum recursion depth exceeded"),
        ("number", "TypeError: expected a rule to return a verdict or None, found 42"),
        ("true", "TypeError: expected a rule to return a verdict or None, found True"),
        ("odd text", "NUL \\0, surrogate ?, percent %s %n"),
        ("no text", "Unprintable: <exception str() failed>"),
    ],
)
def test_a_rule_that_fails_otherwise_answers_500_and_says_why(
    server: KamailioServer, alice: Client, how: str, said: str
) -> None:
    request = alice.request("OPTIONS", server.uri, headers={"X-Fail": how})
    alice.send(request)
    assert alice.final(request, seconds=1).status == 500
    exception_of(server, request, said)
    assert_served(server, alice)


def test_a_rule_that_reads_bytes_that_are_no_text_answers_500(server: KamailioServer, alice: Client) -> None:
    headers: dict[str, str | None] = {"X-Fail": "bytes", "User-Agent": "Phone \udce9"}
    request = alice.request("OPTIONS", server.uri, headers=headers)
    alice.send(request)
    assert alice.final(request, seconds=1).status == 500
    exception_of(server, request, "UnicodeDecodeError")
    assert_served(server, alice)


def test_a_call_id_that_is_no_text_is_logged_all_the_same(server: KamailioServer, alice: Client) -> None:
    headers: dict[str, str | None] = {"X-Fail": "raise", "Call-ID": "odd-\udce9-call"}
    request = alice.request("OPTIONS", server.uri, headers=headers)
    alice.send(request)
    assert alice.final(request, seconds=1).status == 500
    server.wait_for_log("of this process, call odd-\N{REPLACEMENT CHARACTER}-call (OPTIONS from ")


def test_a_rule_that_raises_on_ack_is_logged_and_nothing_is_answered(
    server: KamailioServer, alice: Client
) -> None:
    request = alice.request("ACK", "sip:bob@example.com", headers={"X-Fail": "raise"})
    alice.send(request)
    exception_of(server, request, "Trouble: in a rule")
    alice.expect_silence()
    assert_served(server, alice)


def test_a_rule_that_raises_after_its_answer_adds_no_second_one(
    server: KamailioServer, alice: Client
) -> None:
    request = alice.request("OPTIONS", server.uri, headers={"X-Fail": "after answer"})
    alice.send(request)
    assert alice.final(request, seconds=1).status == 299
    exception_of(server, request, "Trouble: after an answer")
    alice.expect_silence()


@pytest.mark.parametrize("place", ["on_branch", "on_any_reply", "on_reply"])
def test_a_call_survives_a_callback_that_raises(
    server: KamailioServer, alice: Client, bob: Client, place: str
) -> None:
    headers = {"X-Fail": place}
    invite = alice.request("INVITE", bob.uri, headers=headers)
    alice.send(invite)
    came = bob.expect("INVITE")
    bob.reply(came, 180, headers=headers)
    alice.expect(180)
    sent = bob.reply(came, 200, headers=headers)
    answer = alice.expect(200)
    caller = Dialog.of_caller(alice, invite, answer)
    callee = Dialog.of_callee(bob, came, sent)
    caller.send("ACK")
    bob.expect("ACK")
    exception_of(server, invite, f"Trouble: in {place}")
    hang_up(callee, caller)
    assert_served(server, alice)


def test_a_failed_call_is_refused_all_the_same_when_on_failure_raises(
    server: KamailioServer, alice: Client, bob: Client
) -> None:
    invite = alice.request("INVITE", bob.uri, headers={"X-Fail": "on_failure"})
    alice.send(invite)
    bob.reply(bob.expect("INVITE"), 486)
    assert alice.final(invite).status == 486
    bob.expect("ACK")
    exception_of(server, invite, "Trouble: in on_failure")
    alice.expect_silence()
    hang_up(*call(alice, bob))


def test_many_failures_in_a_row_harm_nothing(server: KamailioServer, alice: Client) -> None:
    for how in ("raise", "exit", "recursion", "number", "bytes", "no text") * 10:
        assert alice.ask("OPTIONS", server.uri, headers={"X-Fail": how, "User-Agent": "\udce9"}).status == 500
    assert_served(server, alice)


def test_rules_that_decide_nothing_answer_500(start: Servers) -> None:
    server = start(
        routes="from kemi.router import Router\nclass Routes(Router):\n    def rules(self):\n        return ()\n"
    )
    client = start.client(server)
    assert client.ask("OPTIONS", server.uri).status == 500
    server.wait_for_log("LookupError: no rule decided: expected one of Router.rules() to return a verdict")
