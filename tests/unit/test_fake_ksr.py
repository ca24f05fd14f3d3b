"""The fake KSR: what it refuses, what it records, what a test can set."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import KSR
import pytest

from kemi.stubs.exports import exports
from kemi.testing.builders import invite, reply
from kemi.testing.ksr import FakeKSR
from kemi.testing.loaded import MODULES
from kemi.testing.message import Message
from kemi.testing.plugin import checked, using

WRONG: dict[str, tuple[str, tuple[str | int, ...], type[Exception], str]] = {
    "misspelt": ("sl.sl_send_replly", (200, "OK"), AttributeError, "did you mean KSR.sl.sl_send_reply"),
    "newer": (
        "auth.www_challenge",
        ("example.com", 0),
        AttributeError,
        "only since Kamailio 5.7; this is 5.6",
    ),
    "not loaded": ("dialog.dlg_manage", (), AttributeError, 'loadmodule "dialog.so"'),
    "too few": ("sl.sl_send_reply", (200,), TypeError, "expected 2 arguments, found 1"),
    "too many": ("is_INVITE", (1,), TypeError, "expected 0 arguments, found 1"),
    "text for a number": ("setflag", ("5",), TypeError, "argument 1: expected int, found '5'"),
    "number for text": ("pv.get", (5,), TypeError, "argument 1: expected str, found 5"),
    "NUL": ("err", ("a\0b",), ValueError, "a NUL cannot be passed"),
    "lone surrogate": ("err", ("\udcff",), UnicodeEncodeError, "surrogates not allowed"),
    "flag": ("setflag", (32,), ValueError, "flag 32: expected 0 to 31"),
    "variable": ("pv.get", ("$nope",), ValueError, r"pseudo-variable '\$nope' is not known"),
    "variable without dollar": ("pv.get", ("ru",), ValueError, "pseudo-variable 'ru' is not known"),
    "transformation": ("pv.get", ("$(ru{s.nope})",), ValueError, "transformation {s.nope} is not known"),
    "read-only variable": ("pv.sets", ("$ci", "x"), ValueError, r"'\$ci' cannot be set to 'x'"),
    "method": ("is_method", ("INVITEE",), ValueError, "unknown method 'INVITEE'"),
    "method letter": ("is_method_in", ("X",), ValueError, "unknown letter 'X'"),
    "table": (
        "htable.sht_get",
        ("ipbann", "x"),
        ValueError,
        "htable 'ipbann' is not defined; defined: authcache, ipban",
    ),
    "header": ("hdr.append", ("X-A: 1",), ValueError, "expected one header line"),
    "status": ("sl.send_reply", (700, "x"), ValueError, "expected a status from 100 to 699"),
    "route parameter": ("rr.add_rr_param", ("nat=yes",), ValueError, "expected ';name=value'"),
    "direction": ("rr.is_direction", ("up",), ValueError, "expected upstream or downstream"),
    "route name": ("tm.t_is_set", ("failure",), ValueError, "expected one of branch_route"),
    "test that deletes": ("pvx.avp_is_null", ("x",), ValueError, "Kamailio deletes the AVP"),
}


@pytest.mark.parametrize("label", WRONG)
def test_a_wrong_call_is_an_error_at_once(ksr: FakeKSR, label: str) -> None:
    name, args, error, text = WRONG[label]
    ksr.receive(invite())
    with pytest.raises(error, match=text):
        ksr.call(name, *args)
    assert [misuse.partition(":")[0] for misuse in ksr.misuse] == [f"KSR.{name}"]
    ksr.misuse.clear()


def test_import_ksr_reaches_the_fake_of_the_test(ksr: FakeKSR) -> None:
    ksr.receive(invite("bob"))
    assert KSR.is_INVITE()
    assert KSR.siputils.has_totag() == -1
    assert KSR.sl.send_reply(404, "Not Found") == 1
    assert [(answer.code, answer.reason) for answer in ksr.replies] == [(404, "Not Found")]
    assert ksr.called("sl.send_reply") == [(404, "Not Found")]


def test_a_misspelt_attribute_counts_as_misuse_also_when_it_is_caught(ksr: FakeKSR) -> None:
    ksr.receive(invite())
    assert getattr(KSR.sl, "send_replie", None) is None
    (misuse,) = ksr.misuse
    assert misuse.startswith("Kamailio 5.6 has no KSR.sl.send_replie; did you mean KSR.sl.send_reply or ")
    ksr.misuse.clear()


def test_misuse_that_a_guard_swallows_still_fails_the_test() -> None:
    def guarded() -> None:
        with checked(FakeKSR()) as fake, suppress(ValueError):
            fake.receive(invite())
            KSR.setflag(32)

    with pytest.raises(AssertionError, match=r"KSR was misused: KSR\.setflag: flag 32"):
        guarded()


def test_looking_for_a_function_of_a_newer_version_is_no_misuse(ksr: FakeKSR) -> None:
    assert not hasattr(KSR.auth, "www_challenge")
    assert ksr.misuse == []


def test_a_newer_kamailio_has_the_newer_function() -> None:
    with using(FakeKSR("5.7")) as newer:
        newer.receive(invite())
        assert KSR.auth.www_challenge("example.com", 0) == 1  # type: ignore[attr-defined]
        assert newer.replies[0].code == 407


def test_the_sub_module_of_a_module_that_is_not_loaded_is_missing() -> None:
    with using(FakeKSR(modules=["sl"])):
        assert hasattr(KSR, "sl")
        assert not hasattr(KSR, "rtpproxy")
        assert hasattr(KSR, "pv")  # part of the core


def test_nothing_is_answered_without_a_message(ksr: FakeKSR) -> None:
    with pytest.raises(RuntimeError, match=r"no message at hand: call ksr\.receive"):
        KSR.is_INVITE()


def test_outside_a_test_every_use_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KSR, "current", None)
    with pytest.raises(RuntimeError, match="outside a test with the fixture 'ksr'"):
        KSR.is_INVITE()


def test_the_fake_loads_what_kamailio_cfg_loads() -> None:
    cfg = (Path(__file__).parents[2] / "kamailio.cfg").read_text()
    loaded = set(re.findall(r'^loadmodule "(\w+)\.so"', cfg, re.MULTILINE))
    exporting = {export.module for export in exports("5.6").values()}
    only_newer = {"dlgs"}  # the stock file loads it from 6.0 on
    assert loaded & exporting - only_newer == MODULES


def test_the_plugin_costs_a_test_run_without_fakes_next_to_nothing() -> None:
    script = "import sys, kemi.testing.plugin; sys.exit('kemi.testing.ksr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_fake_ends_with_its_block() -> None:
    with using(FakeKSR(own=["one.example"])), using(FakeKSR(own=["two.example"])):
        assert KSR.is_myself("sip:two.example")
    with pytest.raises(RuntimeError):
        KSR.is_myself("sip:one.example")


def test_a_name_kept_from_the_import_on_reaches_the_fake_of_each_test() -> None:
    kept, family = KSR.is_myself, KSR.sl
    with using(FakeKSR(own=["one.example"])):
        assert kept("sip:one.example")
    with using(FakeKSR(own=["two.example"])) as fake:
        assert not kept("sip:one.example")
        fake.receive(invite())
        assert family.send_reply(404, "Not Found") == 1
        assert [answer.code for answer in fake.replies] == [404]


def test_what_is_outside_is_set_by_the_test(ksr: FakeKSR) -> None:
    ksr.receive(invite())
    ksr.answer("pike.pike_check_req", -2)
    ksr.answer("registrar.lookup", [1, -1])
    ksr.answer("is_myself", lambda uri: uri == "sip:here")
    assert KSR.pike.pike_check_req() == KSR.pike.pike_check_req() == -2
    assert [KSR.registrar.lookup("location"), KSR.registrar.lookup("location")] == [1, -1]
    assert KSR.is_myself("sip:here")
    assert not KSR.is_myself("sip:there")


def test_one_call_more_than_answers_is_an_error(ksr: FakeKSR) -> None:
    ksr.receive(invite())
    ksr.answer("registrar.lookup", [1])
    KSR.registrar.lookup("location")
    with pytest.raises(AssertionError, match="1 answers were set, but it was called once more"):
        KSR.registrar.lookup("location")


@pytest.mark.parametrize(("name", "value"), [("registrar.lookup", True), ("is_INVITE", 1), ("pv.get", 1.5)])
def test_an_answer_of_another_type_than_the_server_gives_is_refused(
    ksr: FakeKSR, name: str, value: object
) -> None:
    with pytest.raises(TypeError, match=f"KSR.{name} gives"):
        ksr.answer(name, value)  # type: ignore[arg-type]


def test_a_function_without_behaviour_says_no_in_its_own_type(ksr: FakeKSR) -> None:
    ksr.receive(invite())
    assert KSR.siputils.is_gruu() == -1
    assert KSR.pvx.xavp_get("x") is None
    assert KSR.to_UDP() is False


def test_every_call_is_kept_in_order_with_its_result(ksr: FakeKSR) -> None:
    ksr.receive(invite())
    KSR.setflag(5)
    KSR.pv.get("$rm")
    assert [(call.name, call.args, call.result) for call in ksr.calls] == [
        ("setflag", (5,), True),
        ("pv.get", ("$rm",), "INVITE"),
    ]


def test_log_lines_are_kept_with_their_level(ksr: FakeKSR) -> None:
    KSR.warn("careful\n")
    assert [(line.level, line.text) for line in ksr.log] == [("warn", "careful\n")]


def test_text_that_is_not_utf8_raises_as_in_app_python3(ksr: FakeKSR) -> None:
    ksr.receive(Message.parse(str(invite()).replace("Phone/1.0", "Ph\udcf6ne")))
    with pytest.raises(UnicodeDecodeError):
        KSR.kx.gete_ua()
    assert KSR.pv.gete("$(ua{s.encode.hexa})") == "5068f66e65"
    assert ksr.misuse == []


def test_the_next_message_starts_without_flags_and_changes(ksr: FakeKSR) -> None:
    ksr.receive(invite())
    KSR.setflag(5)
    KSR.pvx.avp_sets("x", "1")
    KSR.hdr.append("X-A: 1\r\n")
    KSR.pv.sets("$var(kept)", "by the process")
    ksr.receive(invite())
    assert not KSR.isflagset(5)
    assert KSR.pvx.avp_get("x") is None
    assert ksr.now.outgoing.header("X-A") is None
    assert KSR.pv.get("$var(kept)") == "by the process"


def test_an_ack_or_a_reply_is_never_answered(ksr: FakeKSR) -> None:
    for message in (Message.parse(str(invite()).replace("INVITE", "ACK")), reply(180)):
        ksr.receive(message)
        with pytest.raises(ValueError, match="is never answered"):
            KSR.sl.sl_send_reply(200, "OK")
    ksr.misuse.clear()
