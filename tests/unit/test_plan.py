"""Written out, the rules ask of Kamailio what they ask one after the other, in the same order, with the same end."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kemi import features, handler
from kemi.cli.main import main
from kemi.flat.seldom import is_seldom
from kemi.flat.sources import Sources
from kemi.flat.writer import Writer
from kemi.message import Message as AnyMessage
from kemi.plan import Plan, Plans
from kemi.request import METHODS, NativeMessage, Request
from kemi.router import Router, Rule
from kemi.settings import LogSettings, Settings, profile
from kemi.testing import builders
from kemi.testing.builders import SERVER, cancel, in_dialog, invite, register, reply, request
from kemi.testing.fake_auth import NONCE, authorize
from kemi.testing.fake_server import FakeServer
from kemi.testing.journal import Journal
from kemi.testing.ksr import FakeKSR
from kemi.testing.message import Message
from kemi.testing.native_modules import as_modules
from kemi.testing.plugin import using
from kemi.verdict import DROP, RELAY, Absorb, Reply, Verdict

TORTURE = Path(__file__).parents[1] / "server" / "rfc4475"
OWN_ROUTE = f"<sip:{SERVER};lr;ftag=from-1>"
NATED_ROUTE = f"<sip:{SERVER};lr;ftag=from-1;nat=yes>"

DEFINES = {
    "none": (),
    "nat": ("WITH_NAT", "WITH_ANTIFLOOD"),
    "auth": ("WITH_NAT", "WITH_ANTIFLOOD", "WITH_AUTH", "WITH_IPAUTH"),
    "cache": ("WITH_NAT", "WITH_AUTH", "WITH_AUTH_CACHE", "KEMI_DATABASE_MAY_FAIL", "WITH_NATSIPPING"),
    "names": ("WITH_PSTN", "WITH_ALIASDB", "WITH_SPEEDDIAL", "WITH_PRESENCE", "WITH_MSGREBUILD"),
    "voicemail": (
        "WITH_VOICEMAIL",
        "WITH_BLOCK3XX",
        "WITH_BLOCK401407",
        "WITH_NAT",
        "WITH_RTPENGINE",
        "WITH_RTPRELAY",
    ),
}
SETTINGS = {
    "stock": profile("stock"),
    "all": Settings(log=LogSettings("all")),
    "none": replace(
        Settings(), log=LogSettings("none"), media=replace(Settings().media, unavailable="reject")
    ),
}

Step = Callable[[FakeServer], object]


class AskingEach(Plans):
    """Nothing is written out."""

    def _written_out(
        self, request: Request, rules: tuple[Rule, ...], sources: Sources
    ) -> Callable[[NativeMessage | None], None]:
        return self._asking_each(request, rules)

    def calling(
        self, function: Callable[[Any], None], message: AnyMessage, sources: Sources
    ) -> Callable[[], None]:
        return partial(function, message)


# -- what happens to a server


def messages() -> Iterator[Message]:
    """One of each kind, and strange ones."""
    for method in (*METHODS, "FOO", "invite", "b\udcffd"):
        for nated in (False, True):
            yield request(method, "bob", nated=nated)
            yield in_dialog(method, nated=nated, route=NATED_ROUTE if nated else OWN_ROUTE)
        yield in_dialog(method, route="")
        yield in_dialog(method, f"sip:{SERVER}", route="")
        yield request(method, "sip:example.com")
        yield request(method, "sip:bob@elsewhere.example")
        yield request(method, "carol", from_="sip:eve@elsewhere.example")
        yield request(method, "bob", headers={"Route": OWN_ROUTE}, to_tag="to-2", nated=True)
        if method.isascii():
            yield authorize(request(method, "bob"), "alice", "secret")
            yield authorize(request(method, "nobody"), "alice", "wrong")
    for agent in ("friendly-scanner", "sipvicious", "Ph\udcffone", "Pho\0ne", "a" * 200, ""):
        yield invite("bob").with_header("User-Agent", agent)
        yield register().with_header("User-Agent", agent)
    for uri in (
        "12",
        "+4930123456",
        "alias",
        "sip:b\udcffb@example.com",
        "sip:b\0b@example.com",
        "tel:+49123",
        "http:x",
    ):
        yield request("INVITE", uri)
        yield request("MESSAGE", uri, from_="sip:\udcff@example.com")
        yield request("REGISTER", uri, from_="sip:a\0b@example.com")
    for name, value in (
        ("Max-Forwards", "0"),
        ("Max-Forwards", "x"),
        ("Event", "message-summary"),
        ("Event", "\udcff"),
    ):
        yield request("SUBSCRIBE", "bob").with_header(name, value)
        yield request("INVITE", "bob").with_header(name, value)
    yield authorize(register(), "alice", "secret")
    yield authorize(register(nated=True), "alice", "secret")
    yield authorize(register("bob"), "alice", "secret")
    yield register(expires=0)
    for path in sorted(TORTURE.glob("*.dat")):
        with suppress(ValueError):
            yield Message.parse(path.read_bytes())


def calls() -> Iterator[Step]:
    """Calls from the beginning to the end, and what may go wrong with them."""
    for nated in (False, True):
        call = invite("bob", nated=nated)
        yield _handling(authorize(call, "alice", "secret"))
        for status in (100, 180, 183, 200):
            yield partial(FakeServer.answer, status=status)
        for method in ("ACK", "INVITE", "UPDATE", "INFO", "BYE"):
            yield partial(FakeServer.in_dialog, method=method)
            yield partial(FakeServer.in_dialog, method=method, by_callee=True)
        for status in (302, 401, 404, 486, 503):
            yield _handling(authorize(invite("bob", nated=nated), "alice", "secret"))
            yield partial(FakeServer.answer, status=status)
        another = invite("bob")
        yield _handling(authorize(another, "alice", "secret"))
        yield _handling(authorize(another, "alice", "secret"))
        yield _handling(cancel(another))
        yield partial(FakeServer.fail, status=408)
    yield _handling(reply(200, invite("bob")))
    yield _handling(reply(200, request("OPTIONS", "bob")).with_header("CSeq", "none"))


def _handling(message: Message) -> Step:
    return lambda server: server.handle(copy.deepcopy(message), guarded=True)


SOME = ("INVITE", "REGISTER", "MESSAGE")
TROUBLE: dict[str, Any] = {
    "pike.pike_check_req": -1,
    "sanity.sanity_check": -1,
    "tm.t_relay": -1,
    "tm.t_newtran": -1,
    "tmx.t_precheck_trans": 1,
    "tm.t_check_trans": 0,
    "rtpproxy.rtpproxy_manage": -3,
    "registrar.save": -1,
    "registrar.lookup": -2,
    "rr.loose_route": -1,
    "speeddial.lookup": 1,
    "alias_db.lookup": 1,
    "permissions.allow_source_address": 1,
    "auth_db.auth_check": -2,
}


def troubles() -> Iterator[Step]:
    """The same few requests while a function of Kamailio's has another opinion."""
    few = [
        *(
            authorize(request(method, "bob", nated=True), "alice", "secret")
            for method in ("INVITE", "REGISTER", "MESSAGE")
        ),
        *(in_dialog(method, nated=True) for method in ("ACK", "BYE", "SUBSCRIBE")),
        invite("alias", from_="sip:eve@elsewhere.example"),
    ]
    for name, value in TROUBLE.items():
        for message in few:

            def trouble(
                server: FakeServer, name: str = name, value: Any = value, message: Message = message
            ) -> object:
                if name not in server.ksr.exports:
                    return None
                server.ksr.answer(name, value)
                try:
                    return server.handle(copy.deepcopy(message), guarded=True)
                finally:
                    del server.ksr._answers[name]

            yield trouble


@cache
def everything() -> tuple[Step, ...]:
    return (*calls(), *map(_handling, messages()), *troubles())


# -- what came of it


class Outcome:
    """What a server asked of Kamailio at each step, and what went out."""

    def __init__(self, server: FakeServer, steps: Sequence[Step]) -> None:
        self.steps: list[tuple[object, ...]] = []
        ksr = server.ksr
        for step in steps:
            before = len(ksr.calls), len(ksr.replies), len(ksr.relayed)
            problem = ""
            try:
                step(server)
            except Exception as error:  # noqa: BLE001 - the same for both
                problem = f"{type(error).__name__}: {error}".partition("\n")[0]
            calls, replies, relays = (
                ksr.calls[before[0] :],
                ksr.replies[before[1] :],
                ksr.relayed[before[2] :],
            )
            # A traceback names the lines of whichever function it came from.
            told = [
                call for call in calls if not (call.name == "err" and _is_of_traceback(str(call.args[0])))
            ]
            sent = [
                (str(one.message), one.destination, one.branch_flags, one.on_reply, one.on_failure)
                for one in relays
            ]
            self.steps.append((*map(str, told), *replies, *sent, problem))


def _is_of_traceback(line: str) -> bool:
    return line.startswith("kemi:   ")


def outcome(
    defines: Sequence[str],
    settings: Settings,
    steps: Sequence[Step],
    *,
    router: type[Router] = Router,
    version: str = "5.6",
    modules: bool = False,
    plans: type[Plans] = Plans,
) -> Outcome:
    """What becomes of these steps; with `modules` KSR is as inside Kamailio."""
    fake = FakeKSR(version, defines=defines)
    fake.htables["authcache"] = {}
    fake.nonces.add(NONCE)
    fake.subscribers = {"alice": "secret"}
    fake.custom = {
        "pstn.gw_ip": "203.0.113.9",
        "voicemail.srv_ip": "203.0.113.8",
        "voicemail.srv_port": "5060",
    }
    patch = pytest.MonkeyPatch()
    # The journal would have each rule stay a call.
    patch.setattr(Journal, "watch", lambda _journal, _router: None)
    patch.setattr(handler, "Plans", plans)
    # Each server gets messages with the same Via, at the same time.
    patch.setattr(builders, "_numbers", itertools.count(100000))
    patch.setattr("kemi.bans.monotonic", lambda: 1000.0)
    with patch.context(), as_modules(fake) if modules else using(fake):
        try:
            server = FakeServer(fake, router(settings, features.read(settings)))
            server.register("bob", nated=True)
            return Outcome(server, steps)
        finally:
            patch.undo()


def compare(defines: Sequence[str], settings: Settings, steps: Sequence[Step], **more: Any) -> Outcome:
    """Assert that the rules do the same written out and asked each."""
    written = outcome(defines, settings, steps, **more)
    asked = outcome(defines, settings, steps, **more, plans=AskingEach)
    for number, (one, other) in enumerate(zip(written.steps, asked.steps, strict=True)):
        assert one == other, f"step {number}"
    return written


@pytest.mark.parametrize("defines", DEFINES.values(), ids=DEFINES.keys())
def test_written_out_the_rules_do_the_same(defines: Sequence[str]) -> None:
    """As inside Kamailio."""
    done = compare(defines, Settings(), everything(), modules=True)
    assert not [step for step in done.steps if step[-1]], "a step that the fake server did not take"


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_so_they_do_with_other_settings(settings: Settings) -> None:
    """On the newest Kamailio, as users' tests have it."""
    few = [*calls(), *map(_handling, [request(method, "bob", nated=True) for method in SOME])]
    compare(("WITH_NAT", "WITH_AUTH", "WITH_VOICEMAIL"), settings, few, version="6.1")


BUSY = Reply(480, "By a lambda")
BY_A_LAMBDA: Rule = (lambda: lambda request: BUSY if request.uri_user == "lambda" else None)()


class Mine(Router):
    """A rule overridden, one wrapped, one added, one that raises; verdicts that are no constants; a lambda."""

    def rules(self) -> tuple[Rule, ...]:
        return (self.mine, BY_A_LAMBDA, partial(self.limited, number=1), *super().rules())

    def mine(self, request: Request) -> Verdict | None:
        if request.is_invite and request.from_user == "raises":
            raise ZeroDivisionError("a rule of mine")
        for name in ("a", "b"):
            if request.uri_user == name:
                return Reply(600 + len(name), f"Not {request.uri_user}")
        return DROP if request.uri_user == "drop" else None

    def limited(self, request: Request, number: int) -> Verdict | None:
        return Absorb("mine") if request.uri_user == "x" * number else None

    def find_nat(self, request: Request) -> Verdict | None:
        request.append_header("X-Mine", request.source)
        return super().find_nat(request)

    def to_registered_contacts(self, request: Request) -> Verdict | None:
        if request.uri_user == "wrong":
            return -255  # type: ignore[return-value]  # a mistake on purpose
        return RELAY if request.uri_user == "somewhere" else super().to_registered_contacts(request)


class MyRequest(Request):
    """Methods and properties overridden."""

    __slots__ = ("asked",)

    def answer_symmetrically(self) -> None:
        self.asked = True

    @property
    def user_agent(self) -> str:
        return "scanner" if self.uri_user == "b" else super().user_agent

    def relay(self) -> bool:
        self.append_header("X-Relayed", "by me")
        return super().relay()


class WithMyRequest(Router):
    request_type = MyRequest


class Undecided(Router):
    def rules(self) -> tuple[Rule, ...]:
        return super().rules()[:3]


@pytest.mark.parametrize("router", [Mine, WithMyRequest, Undecided])
def test_so_do_a_users_rules(router: type[Router]) -> None:
    users = ("a", "b", "x", "drop", "lambda", "wrong", "somewhere", "bob", "nobody")
    steps = [
        _handling(request(method, user))
        for user in users
        for method in ("INVITE", "ACK", "MESSAGE", "REGISTER")
    ]
    raising = _handling(invite("bob", from_="raises"))
    done = compare(("WITH_NAT",), Settings(), [*steps, raising, *calls()], router=router)
    text = str(done.steps)
    expected = {
        Mine: ("X-Mine", "601, 'Not a'", "ZeroDivisionError: a rule of mine", "By a lambda", "found -255"),
        WithMyRequest: ("X-Relayed",),
        Undecided: ("no rule decided",),
    }
    for what in expected[router]:
        assert what in text


# -- what is written out


# Functions of the library that stay calls, though they are not marked seldom, and why.
STAY_CALLS = {
    "carry_out": "for verdicts that are not known beforehand",
    "called_user": "has a lambda",
    "event": "has a lambda",
    "has_other_body_than_sdp": "has a lambda",
    "error": "has a loop, and is for errors",
    "presence": "is decorated, as in_dialog asks it",
}


def written(defines: Sequence[str], version: str) -> dict[str, Plan]:
    fake = FakeKSR(version, defines=defines)
    with as_modules(fake):
        made = handler.Handler(Router(Settings(), features.read(Settings())))
        made.write_out()
        return made._plans.made


def left_in(function: Callable[..., object]) -> Iterator[tuple[str, Any]]:
    """What is still called in it, and the properties that are read: names and functions."""
    names = function.__globals__
    tree = ast.parse(names["__loader__"].get_source(""))
    calls = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and id(node) in calls and not isinstance(names.get(node.id), type):
            yield node.id, names.get(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
            found = getattr(type(names[node.value.id]), node.attr, None)
            if isinstance(found, property) or id(node) in calls:
                yield node.attr, found.fget if isinstance(found, property) else found


@pytest.mark.parametrize("method", METHODS)
def test_the_first_request_after_a_reload_has_its_method_written_out(method: str) -> None:
    """Then nothing is written out yet; what Kamailio itself gives no number, as INFO, included."""
    fake = FakeKSR()
    with as_modules(fake):
        server = FakeServer(fake, Router(Settings(), features.read(Settings())))
        made = server.handler._plans.made
        assert made == {}
        for _ in range(2):
            server.handle(request(method, "sip:bob@example.com", to_tag="to-1"))
            assert list(made) == [method]
        found, _ = made[method]
        assert found.method == method


@pytest.mark.parametrize("defines", DEFINES.values(), ids=DEFINES.keys())
def test_every_rule_is_written_out(defines: Sequence[str]) -> None:
    """On the newest Kamailio, which has the most of them."""
    left: dict[str, set[str]] = {}
    for method, (_, handle) in written(defines, "6.1").items():
        relay = handle.__globals__.get("relay")
        for function in [handle, *([relay] if relay else [])]:
            for name, value in left_in(function):
                ours = getattr(value, "__module__", "") or ""
                if ours.startswith("kemi.") and not ours.startswith("kemi.flat") and not is_seldom(value):
                    left.setdefault(name, set()).add(method)
    new = {name: sorted(methods) for name, methods in left.items() if name not in STAY_CALLS}
    assert not new, (
        f"expected these to be written out, found calls of them: {new}; make them fit for kemi.flat"
    )


def test_a_function_that_a_rule_calls_is_not_forgotten() -> None:
    """What the test above looks for is there to be found."""
    _, handle = written((), "5.6")["SUBSCRIBE"]
    assert "event" in dict(left_in(handle))


def test_where_writing_out_fails_requests_are_served_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> list[ast.stmt]:
        raise IndexError("a mistake in the writer")

    monkeypatch.setattr(Writer, "call", fails)
    steps = [
        _handling(request("MESSAGE", "bob")),
        _handling(request("MESSAGE", "nobody")),
        _handling(invite("bob")),
    ]
    asked = outcome(("WITH_NAT",), Settings(), steps, plans=AskingEach)
    served = outcome(("WITH_NAT",), Settings(), steps)
    for one, other in zip(served.steps, asked.steps, strict=True):
        assert [line for line in one if "KSR.err" not in str(line)] == list(other)
    told = [str(line) for step in served.steps for line in step if "is served more slowly" in str(line)]
    assert [line.partition(" is served")[0].rpartition(" ")[2] for line in told] == [
        "_relay",
        "MESSAGE",
        "_relay",
        "INVITE",
        "_send_branch",
    ]


# -- kemi plan


def plan(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["plan", *arguments])
    return result.exit_code, result.output


def test_the_command_shows_what_is_done() -> None:
    code, text = plan("REGISTER")
    assert code == 0
    ast.parse(text)
    assert "def REGISTER(native):" in text
    assert "KSR.nathelper.fix_nated_register()" in text
    assert "KSR.registrar.save('location', 0)" in text
    assert "KSR.tm.t_relay()" in text  # a REGISTER for another domain
    assert "auth_check" not in text
    assert "KSR_" not in text


def test_the_command_knows_defines_versions_and_settings(tmp_path: Path) -> None:
    settings = tmp_path / "kemi.yaml"
    settings.write_text("screen:\n  max_forwards: 33\n")
    code, text = plan(
        "INVITE", "-A", "WITH_AUTH", "--kamailio", "6.1", "--settings", str(settings), "--callbacks"
    )
    assert code == 0
    assert "KSR.auth_db.auth_check(" in text
    assert "KSR.dlgs.dlgs_init(" in text
    assert "process_maxfwd(33)" in text
    assert "nat_uac_test" not in text
    assert {"def INVITE(native):", "def take_reply():", "def send_branch():"} <= set(text.splitlines())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("INVITES",), "METHOD: found 'INVITES'; did you mean INVITE?"),
        (("register",), "did you mean REGISTER?"),
        (("INVITE", "-A", "WITH_NATT"), "--define: found 'WITH_NATT'; did you mean WITH_NAT?"),
        (("INVITE", "--kamailio", "4.4"), "'4.4' is not one of"),
        (("INVITE", "--settings", "no.yaml"), "'no.yaml' does not exist"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: Sequence[str], said: str) -> None:
    code, text = plan(*arguments)
    assert code == 2
    assert said in text


def test_the_command_takes_the_settings_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kemi.yaml").write_text("screen:\n  max_forwards: 33\n")
    monkeypatch.chdir(tmp_path)
    code, text = plan("INVITE")
    assert code == 0
    assert "process_maxfwd(33)" in text


def test_the_command_says_what_is_wrong_with_settings(tmp_path: Path) -> None:
    settings = tmp_path / "kemi.yaml"
    settings.write_text("screen:\n  max_forward: 33\n")
    code, text = plan("INVITE", "--settings", str(settings))
    assert code == 1
    assert "max_forward" in text
