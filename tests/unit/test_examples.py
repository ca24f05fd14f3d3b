"""The examples on the fake Kamailio, loaded from their own settings files as on a server."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path

import pytest

from kemi.settings_file import SettingsError
from kemi.testing import FakeKSR, FakeServer, authorize, cancel, invite, register, request, sdp
from kemi.testing.own_modules import choose
from kemi.verdict import RELAY, Reply

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))


def example(name: str, **options: object) -> pytest.MarkDecorator:
    """The fixtures take the example's own settings, and its cfg if it has one."""
    cfg = f"examples/{name}.cfg" if (EXAMPLES / f"{name}.cfg").exists() else None
    return pytest.mark.kemi(settings=f"examples/{name}.yaml", cfg=cfg, **options)


def change(router: FakeServer, monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    """Other values than those that the example comes with."""
    for name, value in values.items():
        monkeypatch.setattr(type(router.routes), name, value)


def test_each_example_has_settings() -> None:
    assert set(NAMES) == {path.stem for path in EXAMPLES.glob("*.yaml")}


@pytest.mark.parametrize("name", NAMES)
def test_each_example_is_small(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 90


@pytest.mark.parametrize("name", NAMES)
def test_each_example_has_a_page_that_includes_it(name: str) -> None:
    page = EXAMPLES.parent / "docs" / "howto" / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    files = [path.name for path in EXAMPLES.glob(f"{name}.*")]
    assert [file for file in files if f"{{literalinclude}} ../../examples/{file}" not in text] == []


def test_the_readmes_example_is_the_file() -> None:
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    _, _, rest = readme.partition("```python\n")
    shown, _, _ = rest.partition("```")
    _, _, code = (EXAMPLES / "premium_numbers.py").read_text(encoding="utf-8").partition("\n\n")
    assert shown.partition("\n")[2].strip() == code.strip()


# -- premium_numbers


@example("premium_numbers")
def test_premium_numbers_are_refused(router: FakeServer) -> None:
    router.register("bob")
    assert router.handle(invite("0900123")) == Reply(403, "No premium numbers")
    assert router.handle(invite("bob")) == RELAY


# -- blocked_countries


@example("blocked_countries")
@pytest.mark.parametrize("number", ["+5371234", "0053-7(12).34", "+85021234", "+882164321"])
def test_blocked_countries_are_refused_however_the_number_is_written(router: FakeServer, number: str) -> None:
    assert router.handle(invite(number)) == Reply(403, "Country blocked")


@example("blocked_countries")
@pytest.mark.parametrize("number", ["+4930123456", "53", "bob"])
def test_other_countries_are_called(router: FakeServer, number: str) -> None:
    router.register(number)
    assert router.handle(invite(number)) == RELAY


@example("blocked_countries")
def test_a_call_that_is_up_can_be_ended_although_its_number_was_blocked_meanwhile(
    router: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    router.register("+5371234")
    countries = router.routes.countries  # type: ignore[attr-defined]
    change(router, monkeypatch, countries=())
    router.handle(invite("+5371234"))
    router.answer(200)
    change(router, monkeypatch, countries=countries)
    assert router.in_dialog("BYE") == RELAY


@example("blocked_countries")
@pytest.mark.parametrize("source", ["198.51.100.7", "[2001:db8:bad::7]"])
def test_a_blocked_network_is_not_answered(router: FakeServer, source: str) -> None:
    message = request("OPTIONS", "sip:example.com")
    message.source = (source, 5060)
    handled = router.handle(message)
    assert (handled.rule, handled.status) == ("drop_blocked_networks", 0)


# -- carrier_failover


@pytest.fixture
def called_out(router: FakeServer) -> FakeServer:
    """Alice has called a telephone number."""
    assert router.handle(invite("004930123456")).relay.message.uri == "sip:+4930123456@203.0.113.10"
    return router


@example("carrier_failover")
@pytest.mark.parametrize("status", [500, 503])
def test_where_a_carrier_fails_the_next_one_is_asked(called_out: FakeServer, status: int) -> None:
    assert called_out.answer(status).relay.message.uri == "sip:+4930123456@203.0.113.20"
    assert called_out.answer(status).relay.message.uri == "sip:+4930123456@203.0.113.30:5070"
    last = called_out.answer(status)
    assert not last.relays
    assert last.passed_back
    assert last.passed_back.status == status


@example("carrier_failover")
def test_a_carrier_that_says_nothing_is_left_soon(called_out: FakeServer) -> None:
    assert called_out.handled[-1].called("tm.t_set_fr") == [(0, 2000)]
    assert called_out.fail(408).relay.message.uri == "sip:+4930123456@203.0.113.20"


@example("carrier_failover")
@pytest.mark.parametrize("status", [404, 486, 603])
def test_a_callees_refusal_is_final(called_out: FakeServer, status: int) -> None:
    assert not called_out.answer(status).relays


@example("carrier_failover")
def test_nobody_answering_is_no_carriers_fault(called_out: FakeServer) -> None:
    called_out.answer(180)
    assert not called_out.fail(408).relays


@example("carrier_failover")
def test_strangers_reach_no_carrier(router: FakeServer) -> None:
    assert router.handle(invite("+4930123456", from_="sip:eve@elsewhere.example")).status == 403


# -- hunt_group


@pytest.fixture
def group(router: FakeServer) -> FakeServer:
    """Bob and dave of the support group have phones, carol has none."""
    router.register("bob", nated=True)
    router.register("dave")
    return router


@example("hunt_group", defines=["WITH_NAT"])
def test_phones_of_a_group_ring_one_after_the_other(group: FakeServer) -> None:
    first = group.handle(invite("support"))
    assert first.relay.destination == "sip:198.51.100.20:33333"
    assert first.called("tm.t_set_fr") == [(15_000, 0)]
    group.answer(180)
    second = group.fail(408)
    assert second.relay.message.uri == "sip:dave@198.51.100.20:5060"
    assert [command for command, _ in second.media] == ["delete", "offer"]
    answered = group.answer(200)
    assert answered.passed_back
    assert answered.passed_back.status == 200


@example("hunt_group")
def test_a_caller_who_gives_up_is_not_sent_on(group: FakeServer) -> None:
    message = invite("support")
    group.handle(message)
    group.handle(cancel(message))
    assert not group.answer(487, to=group.ksr.relayed[0]).relays


@example("hunt_group")
def test_who_rings_last_has_the_last_word(group: FakeServer) -> None:
    group.handle(invite("support"))
    group.answer(486)
    last = group.answer(603)
    assert last.passed_back
    assert last.passed_back.status == 603


@example(
    "hunt_group", defines=["WITH_VOICEMAIL"], values={"VOICEMAIL_IP": "203.0.113.9", "VOICEMAIL_PORT": 5060}
)
def test_a_group_has_a_mailbox_too(group: FakeServer) -> None:
    group.handle(invite("support"))
    group.answer(486)
    assert group.answer(486).relay.message.uri == "sip:support@203.0.113.9:5060"


@example("hunt_group")
def test_a_group_without_phones_and_users_of_no_group(router: FakeServer) -> None:
    assert router.handle(invite("support")).status == 480
    router.register("erin")
    assert router.handle(invite("erin")) == RELAY
    assert not router.answer(486).relays


# -- nat_by_network


@example("nat_by_network", defines=["WITH_NAT"])
@pytest.mark.parametrize(
    ("source", "believed"),
    [("192.0.2.10", True), ("203.0.113.5", False), ("10.8.3.4", False), ("fd00::9", False)],
)
def test_a_private_contact_shows_a_nat_only_among_customers(
    router: FakeServer, source: str, believed: bool
) -> None:
    message = register("alice")
    message.source = (source, 5060)
    host = f"[{source}]" if ":" in source else source
    message.headers = [
        (name, f"SIP/2.0/UDP {host}:5060;branch=z9hG4bK-{believed}{host};rport")
        if name == "Via"
        else (name, value)
        for name, value in message.headers
    ]
    message = message.with_header("Contact", "<sip:alice@192.168.1.10:5060>")
    handled = router.handle(message)
    assert bool(handled.called("nathelper.fix_nated_register")) == believed


@example("nat_by_network", defines=["WITH_NAT"])
def test_a_nat_in_a_branch_office_shows_in_the_port(router: FakeServer) -> None:
    message = register("alice", nated=True)
    message.source = ("10.8.3.4", 40000)
    assert router.handle(message).called("nathelper.fix_nated_register")


# -- number_directory


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database in which +4930123456 is bob's."""
    path = tmp_path / "numbers.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("create table numbers (number text primary key, user text not null)")
        database.execute("insert into numbers values ('+4930123456', 'bob')")
    choose("number_directory", EXAMPLES)
    monkeypatch.setattr(import_module("number_directory").Routes, "database", path)
    return path


Load = Callable[[], FakeServer]


@pytest.fixture
def load(ksr: FakeKSR, request: pytest.FixtureRequest) -> Load:
    return lambda: FakeServer.load(ksr, EXAMPLES / "number_directory.yaml")


def test_a_number_is_looked_up_in_the_database(directory: Path, load: Load) -> None:
    server = load()
    server.register("bob")
    server.register("carol")
    assert server.handle(invite("+4930123456")).relay.message.uri == "sip:bob@198.51.100.20:5060"
    assert server.handle(invite("carol")) == RELAY
    assert server.handle(invite("+4930999999")).status == 404


def test_without_the_database_nothing_starts(directory: Path, load: Load) -> None:
    directory.unlink()
    with pytest.raises(sqlite3.OperationalError):
        load()


# -- office_hours


@example("office_hours")
@pytest.mark.parametrize(
    ("when", "status"),
    [
        ("2026-01-05 07:59", 480),
        ("2026-01-05 08:00", 0),
        ("2026-01-05 17:59", 0),
        ("2026-01-05 18:00", 480),
        ("2026-01-10 12:00", 480),  # a Saturday
    ],
)
def test_the_reception_rings_in_office_hours(
    router: FakeServer, monkeypatch: pytest.MonkeyPatch, when: str, status: int
) -> None:
    change(router, monkeypatch, now=lambda _self: datetime.fromisoformat(when))
    router.register("reception")
    router.register("bob")
    assert router.handle(invite("reception")).status == status
    assert router.handle(invite("bob")) == RELAY


# -- rate_limit


@example("rate_limit", defines=["WITH_AUTH"], users={"alice": "secret", "bob": "secret"})
def test_a_user_may_call_ten_times_a_minute(router: FakeServer) -> None:
    router.register("carol")

    def call(user: str) -> int:
        return router.handle(authorize(invite("carol", from_=user), user, "secret")).status

    assert [call("alice") for _ in range(12)] == [0] * 10 + [403] * 2
    assert call("bob") == 0
    assert router.ksr.htable_expires["calls", "alice@example.com"] == 60


# -- recorded_calls


@example("recorded_calls", defines=["WITH_NAT", "WITH_RTPRELAY"])
@pytest.mark.parametrize(("called", "recorded"), [("support", True), ("bob", False)])
def test_calls_to_some_are_recorded(router: FakeServer, called: str, recorded: bool) -> None:
    router.register(called)
    assert len(router.handle(invite(called)).called("rtpproxy.start_recording")) == recorded
    assert not router.answer(183).called("rtpproxy.start_recording")
    answered = router.answer(200)
    assert len(answered.called("rtpproxy.start_recording")) == recorded
    again = router.in_dialog("INVITE")
    assert not router.answer(200, to=again.relay).called("rtpproxy.start_recording")


@example("recorded_calls", defines=["WITH_NAT", "WITH_RTPRELAY", "WITH_RTPENGINE"])
def test_rtpengine_is_asked_where_it_relays(router: FakeServer) -> None:
    router.register("support")
    assert router.handle(invite("support")).called("rtpengine.start_recording")


@example("recorded_calls", defines=["WITH_NAT", "WITH_RTPRELAY"])
def test_a_call_that_could_not_be_recorded_is_in_the_log(router: FakeServer) -> None:
    router.register("support")
    router.ksr.answer("rtpproxy.start_recording", -1)
    assert "to support is not recorded" in router.handle(invite("support")).log[-1].text
    assert "to support is not recorded" in router.answer(200).log[-1].text


# -- missed_calls

MISSED = [{"caller": "alice", "called": "bob", "call_id": "c1"}]
CALL = request("INVITE", "bob", call_id="c1", body=sdp())


Reports = Callable[[], list[dict[str, str]]]


@pytest.fixture
def reports(router: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Reports:
    """What is posted when the process for it next looks into the queue."""
    posted: list[str] = []
    change(router, monkeypatch, post=lambda _self, report: posted.append(report))

    def look() -> list[dict[str, str]]:
        posted.clear()
        router.event("missed_calls", request("OPTIONS", "sip:example.com"))
        return [json.loads(report) for report in posted]

    return look


@example("missed_calls")
@pytest.mark.parametrize("status", [486, 603, 408])
def test_a_call_that_is_not_taken_is_reported_once(router: FakeServer, reports: Reports, status: int) -> None:
    router.register("bob")
    router.handle(CALL)
    assert reports() == []
    router.answer(status)
    assert reports() == MISSED
    assert reports() == []


@example("missed_calls")
def test_so_is_one_to_a_user_without_a_phone_and_one_that_the_caller_gave_up(
    router: FakeServer, reports: Reports
) -> None:
    router.handle(CALL)
    assert reports() == MISSED
    router.register("bob")
    router.handle(again := request("INVITE", "bob", call_id="c1", cseq=2, body=sdp()))
    router.handle(cancel(again))
    router.answer(487, to=router.ksr.relayed[0])
    assert reports() == MISSED


@example("missed_calls")
def test_a_call_that_was_taken_is_not_reported_nor_is_its_failed_reinvite(
    router: FakeServer, reports: Reports
) -> None:
    router.register("bob")
    router.handle(invite("bob"))
    router.answer(200)
    again = router.in_dialog("INVITE")
    router.answer(488, to=again.relay)
    assert reports() == []


@example("missed_calls")
def test_of_too_many_reports_the_latest_are_kept(router: FakeServer, reports: Reports) -> None:
    for number in range(1002):
        router.handle(invite(f"user{number}"))
    assert [report["called"] for report in reports()] == [f"user{number}" for number in range(2, 1002)]


@pytest.mark.kemi(settings="examples/missed_calls.yaml")
def test_without_its_queue_it_does_not_start(ksr: FakeKSR) -> None:
    with pytest.raises(SettingsError, match="expected module 'mqueue' to be loaded"):
        FakeServer.load(ksr, EXAMPLES / "missed_calls.yaml")


# -- lost_phones


@example("lost_phones")
def test_a_phone_that_is_gone_is_in_the_log(router: FakeServer) -> None:
    told = {"$ulc(exp=>aor)": "bob", "$ulc(exp=>addr)": "sip:bob@192.0.2.7"}
    router.ksr.answer("pv.gete", told.__getitem__)
    event = router.event("usrloc:contact-expired", request("OPTIONS", "sip:example.com"))
    assert "lost phone: bob at sip:bob@192.0.2.7" in event.log[-1].text
