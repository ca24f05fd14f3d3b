"""Passwords: who is asked, who may call out, and who is banned for guessing."""

from __future__ import annotations

import pytest

from kemi.bans import BANNED, FAILURES, LOGINS
from kemi.settings import AuthSettings, BanSettings, Settings, profile
from kemi.testing.builders import invite, register, request
from kemi.testing.fake_auth import authorize
from kemi.testing.ksr import FakeKSR
from kemi.testing.message import Message
from tests.unit.serving import MakeServer, Server

LIMITS = Settings(
    auth=AuthSettings(
        ban=BanSettings(failures_per_source=4, failures_per_user=3, window=60, duration=90, remember=100)
    )
)
OFFICE, CAFE = "192.0.2.10", "198.51.100.77"


@pytest.fixture
def server(make_server: MakeServer, ksr: FakeKSR) -> Server:
    """A server with WITH_AUTH, low limits, two users and a registered bob."""
    made = make_server("WITH_AUTH", settings=LIMITS)
    ksr.subscribers = {"alice": "correct horse", "bob": "battery staple"}
    made.register("bob", "sip:bob@198.51.100.20:5060")
    ksr.receive(request("OPTIONS", "sip:example.com"))
    ksr.call("auth.auth_challenge", "example.com", 0)  # the nonce of authorize() is known from here on
    ksr.replies.clear()
    return made


def _login(server: Server, user: str, password: str, source: tuple[str, int] = (OFFICE, 5060)) -> int | None:
    message = authorize(register(user), user, password)
    message.source = source
    answer = server.receive(message)
    return answer.code if answer else None


def _guess(
    server: Server, times: int, user: str = "alice", source: tuple[str, int] = (OFFICE, 5060)
) -> int | None:
    code = None
    for number in range(times):
        code = _login(server, user, f"guess {number}", source)
    return code


def test_the_right_password_registers(server: Server, ksr: FakeKSR) -> None:
    assert _login(server, "alice", "correct horse") == 200
    assert "alice" in ksr.location


@pytest.mark.parametrize(
    "message",
    [
        register("alice"),
        authorize(register("alice"), "alice", "wrong"),
        register("nobody"),
        authorize(register("nobody"), "nobody", "wrong"),
        authorize(register("alice"), "bob", "battery staple"),
        authorize(register("alice"), "alice", "correct horse", nonce="old"),
    ],
    ids=[
        "no credentials",
        "wrong password",
        "unknown",
        "unknown with password",
        "another's password",
        "old nonce",
    ],
)
def test_every_other_login_looks_the_same(server: Server, message: Message) -> None:
    answer = server.receive(message)
    assert answer is not None
    assert (answer.code, answer.reason) == (401, "Unauthorized")


@pytest.mark.parametrize(("settings", "offered"), [(Settings(), True), (profile("stock"), False)])
def test_a_challenge_offers_qop_unless_the_profile_is_stock(
    make_server: MakeServer, settings: Settings, offered: bool
) -> None:
    answer = make_server("WITH_AUTH", settings=settings).receive(register("alice"))
    assert answer is not None
    assert answer.headers[0].endswith(', qop="auth"') is offered


def test_a_caller_who_claims_to_be_ours_is_asked(server: Server) -> None:
    for user in ("alice", "nobody"):
        answer = server.receive(invite("bob", from_=user))
        assert answer is not None
        assert answer.code == 407


def test_credentials_are_not_handed_on(server: Server, ksr: FakeKSR) -> None:
    assert server.receive(authorize(invite("bob"), "alice", "correct horse")) is None
    (relay,) = ksr.relayed
    assert relay.message.header("Proxy-Authorization") is None


def test_our_users_may_call_out(server: Server, ksr: FakeKSR) -> None:
    call = authorize(request("INVITE", "sip:dave@elsewhere.example"), "alice", "correct horse")
    assert server.receive(call) is None
    (relay,) = ksr.relayed
    assert relay.message.header("P-Hint") == "outbound"


def test_strangers_may_call_us_but_nobody_else(server: Server, ksr: FakeKSR) -> None:
    assert server.receive(invite("bob", from_="sip:eve@elsewhere.example")) is None
    assert len(ksr.relayed) == 1
    answer = server.receive(
        request("INVITE", "sip:dave@elsewhere.example", from_="sip:eve@elsewhere.example")
    )
    assert answer is not None
    assert (answer.code, answer.reason) == (403, "Not relaying")


STRANGER = "sip:eve@elsewhere.example"


def test_a_stranger_does_not_learn_who_is_there(server: Server, ksr: FakeKSR) -> None:
    answers = [
        server.receive(request("OPTIONS", f"sip:{user}@example.com", from_=STRANGER))
        for user in ("bob", "nobody")
    ]
    assert answers[0] == answers[1]
    assert answers[0] is not None
    assert answers[0].code == 404
    assert ksr.relayed == []


def test_our_users_may_ask_who_is_there(server: Server, ksr: FakeKSR) -> None:
    asked = authorize(request("OPTIONS", "sip:bob@example.com"), "alice", "correct horse")
    assert server.receive(asked) is None
    assert len(ksr.relayed) == 1


@pytest.mark.parametrize(
    ("defines", "settings"),
    [(("WITH_AUTH",), profile("stock")), ((), Settings())],
    ids=["stock", "no passwords"],
)
def test_whoever_is_not_hidden_is_asked_by_anybody(
    make_server: MakeServer, ksr: FakeKSR, defines: tuple[str, ...], settings: Settings
) -> None:
    server = make_server(*defines, settings=settings)
    server.register("bob", "sip:bob@198.51.100.20:5060")
    assert server.receive(request("OPTIONS", "sip:bob@example.com", from_=STRANGER)) is None
    assert len(ksr.relayed) == 1


def test_guessing_one_user_is_banned(server: Server, ksr: FakeKSR) -> None:
    assert _guess(server, 3) == 401
    assert _login(server, "alice", "correct horse") is None
    assert _login(server, "alice", "correct horse", (CAFE, 5060)) is None
    assert _login(server, "bob", "battery staple", (CAFE, 5060)) == 200
    assert ksr.htable_expires[BANNED, "@alice"] == 90
    assert any("banned @alice for 90 s after 3 failed logins" in line.text for line in ksr.log)


def test_guessing_many_users_is_banned(server: Server) -> None:
    for user in ("one", "two", "three", "four"):
        _guess(server, 1, user)
    assert _login(server, "alice", "correct horse") is None
    assert _login(server, "alice", "correct horse", (CAFE, 5060)) == 200


def test_an_office_behind_the_banned_address_goes_on(server: Server) -> None:
    assert _login(server, "alice", "correct horse", (OFFICE, 40001)) == 200
    for user in ("one", "two", "three", "four"):
        _guess(server, 1, user, (OFFICE, 50000))
    assert _login(server, "alice", "correct horse", (OFFICE, 40001)) == 200
    assert _login(server, "alice", "correct horse", (OFFICE, 40002)) == 200
    assert _login(server, "bob", "battery staple", (OFFICE, 40003)) is None


def test_the_victim_goes_on_from_where_it_logged_in(server: Server) -> None:
    assert _login(server, "alice", "correct horse", (OFFICE, 40001)) == 200
    _guess(server, 3, source=(OFFICE, 50000))
    assert _login(server, "alice", "correct horse", (OFFICE, 40001)) == 200
    assert _login(server, "alice", "correct horse", (OFFICE, 50000)) is None


NOTED = (f"{OFFICE}|alice", f"{OFFICE}:40001|alice", f"{OFFICE}:40001")


def test_a_login_is_noted_for_what_is_promised_and_the_time_until_it_is_noted_anew(
    server: Server, ksr: FakeKSR
) -> None:
    _login(server, "alice", "correct horse", (OFFICE, 40001))
    assert set(ksr.htables[LOGINS]) == set(NOTED)
    assert {ksr.htable_expires[LOGINS, key] for key in NOTED} == {150}


def test_a_phone_that_refreshes_its_registration_is_read_once_and_not_written(
    server: Server, ksr: FakeKSR
) -> None:
    _login(server, "alice", "correct horse", (OFFICE, 40001))
    ksr.calls.clear()
    assert _login(server, "alice", "correct horse", (OFFICE, 40001)) == 200
    assert not [call.name for call in ksr.calls if call.name.startswith("htable.")]
    assert ksr.called("pv.get").count(("$sht(authok=>$si:$sp|$fU)",)) == 1


def test_a_login_is_noted_anew_in_time(server: Server, ksr: FakeKSR) -> None:
    _login(server, "alice", "correct horse", (OFFICE, 40001))
    noted = dict(ksr.htables[LOGINS])
    ksr.htables[LOGINS] = dict.fromkeys(NOTED, 1)
    _login(server, "alice", "a guess", (OFFICE, 40001))
    assert set(ksr.htables[LOGINS].values()) == {1}, "a guess is no login"
    _login(server, "alice", "correct horse", (OFFICE, 40001))
    for key in NOTED:
        assert int(ksr.htables[LOGINS][key]) >= int(noted[key])


def test_a_call_proves_a_password_but_no_place(server: Server, ksr: FakeKSR) -> None:
    assert server.receive(authorize(invite("bob"), "alice", "correct horse")) is None
    assert len(ksr.relayed) == 1
    assert not ksr.htables[LOGINS]


def test_a_long_name_does_not_fill_shared_memory(server: Server, ksr: FakeKSR) -> None:
    server.receive(authorize(register("a" * 5000), "a" * 5000, "guess"))
    assert set(ksr.htables[FAILURES]) == {OFFICE, "@" + "a" * 64}


def test_the_window_begins_with_the_first_failure(server: Server, ksr: FakeKSR) -> None:
    _guess(server, 1)
    assert ksr.htable_expires[FAILURES, "@alice"] == 60
    ksr.htable_expires.clear()
    _guess(server, 1)
    assert (FAILURES, "@alice") not in ksr.htable_expires


def test_what_every_phone_sends_is_not_counted(server: Server, ksr: FakeKSR) -> None:
    for _ in range(5):
        server.receive(register("alice"))
        server.receive(authorize(register("alice"), "alice", "correct horse", nonce="old"))
        server.receive(authorize(register("alice"), "alice", "correct horse", nonce="from before a restart"))
    assert not ksr.htables[FAILURES]


def test_the_stock_profile_bans_nobody(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server("WITH_AUTH", settings=profile("stock"))
    ksr.subscribers = {"alice": "correct horse"}
    ksr.nonces.add("kemi-nonce-1")
    assert _guess(server, 40) == 401
    assert _login(server, "alice", "correct horse") == 200
    assert not any(call.name.startswith("htable.") for call in ksr.calls)


@pytest.fixture
def flooded(make_server: MakeServer, ksr: FakeKSR) -> Server:
    """A server with WITH_ANTIFLOOD that finds the present source too fast."""
    ksr.answer("pike.pike_check_req", -1)
    return make_server("WITH_ANTIFLOOD")


def test_a_flood_is_dropped_and_its_address_remembered(flooded: Server, ksr: FakeKSR) -> None:
    assert flooded.receive(request("OPTIONS", "sip:example.com")) is None
    assert ksr.htables["ipban"] == {OFFICE: 1}
    ksr.answer("pike.pike_check_req", 1)
    assert flooded.receive(request("OPTIONS", "sip:example.com")) is None


def test_a_flood_does_not_silence_who_has_logged_in(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.answer("pike.pike_check_req", -1)
    server = make_server("WITH_AUTH", "WITH_ANTIFLOOD")
    ksr.htables["authok"][f"{OFFICE}:5060"] = 1
    answer = server.receive(request("OPTIONS", "sip:example.com"))
    assert answer is not None
    assert answer.code == 200
    assert "pike.pike_check_req" not in {call.name for call in ksr.calls}


def test_our_own_packets_are_no_flood(flooded: Server) -> None:
    message = request("OPTIONS", "sip:example.com")
    message.source = ("203.0.113.1", 5060)
    answer = flooded.receive(message)
    assert answer is not None
    assert answer.code == 200
