"""The generated types of KSR: complete, current, and able to find the mistake they exist for."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from mypy import api

from kemi.cli.stubs import generate, stubs
from kemi.testing.exports import exports, known_in, versions

ROOT = Path(__file__).parents[2]

SNIPPET = """\
import KSR
from typing_extensions import assert_type

def wrong_test() -> bool:
    return not KSR.siputils.has_totag()

def wrong_branch() -> int:
    if KSR.registrar.lookup("location"):
        return 1
    return 2

def wrong_return() -> bool:
    return KSR.siputils.has_totag()

def wrong_argument() -> None:
    KSR.sl.send_reply("200", "OK")

def wrong_count() -> None:
    KSR.sl.send_reply(200)

def wrong_name() -> None:
    KSR.sl.send_replie(200, "OK")

def newer() -> None:
    KSR.auth.www_challenge("example.com", 0)

def right() -> int:
    code = KSR.siputils.has_totag()
    if code < 0 or code > 0 or code <= 0 or code >= 0 or code == -1 or code != 1 or code in (0, -1):
        return int(code)
    if not KSR.is_INVITE() and KSR.pv.is_null("$ua"):
        return KSR.tm.t_get_status_code()
    assert_type(KSR.pv.get("$ru"), str | int | None)
    assert_type(KSR.pv.gete("$ru"), str | int)
    assert_type(KSR.hdr.get("Contact"), str | None)
    assert_type(KSR.kx.gete_ua(), str)
    assert_type(KSR.kx.get_srcport(), int)
    KSR.x.modf("t_relay_to", "udp:192.0.2.1:5060")
    return 0
"""

FINDINGS = {
    5: "[truthy-bool]",
    8: "[truthy-bool]",
    13: "[return-value]",
    16: "[arg-type]",
    19: "[call-arg]",
    22: "[attr-defined]",
    25: "[attr-defined]",
}


def test_mypy_finds_wrong_calls_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    snippet = tmp_path / "rule.py"
    snippet.write_text(SNIPPET)
    output, errors, _ = api.run(["--no-error-summary", "--follow-imports", "silent", str(snippet)])
    found = {}
    for line in output.splitlines():
        if ": error: " in line:
            found[int(line.split(":")[1])] = line.rpartition(" ")[2]
    assert found == FINDINGS, output + errors


def test_the_committed_stubs_are_those_of_the_oldest_kamailio() -> None:
    folder = ROOT / "stubs"
    committed = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.pyi")}
    assert committed == generate(versions()[0])


@pytest.mark.parametrize("kamailio", versions())
def test_every_function_is_in_the_stubs_of_its_version(kamailio: str) -> None:
    generated = generate(kamailio)
    for name in exports(kamailio):
        family, _, function = name.rpartition(".")
        if family != "async":  # not a name in Python
            text = generated[f"KSR/{family or '__init__'}.pyi"]
            assert f"\ndef {function}(" in text


def test_the_command_writes_the_stubs_and_removes_stale_ones(tmp_path: Path) -> None:
    (tmp_path / "KSR").mkdir()
    (tmp_path / "KSR" / "gone.pyi").write_text("")
    result = CliRunner().invoke(stubs, ["--kamailio", "6.0", "--out", str(tmp_path)])
    assert result.exit_code == 0
    assert "Kamailio 6.0" in result.output
    assert not (tmp_path / "KSR" / "gone.pyi").exists()
    assert "def www_challenge" in (tmp_path / "KSR" / "auth.pyi").read_text()


def test_an_unknown_version_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"Kamailio '5\.5'; expected one of 5\.6, 5\.7, 5\.8, 6\.0, 6\.1"):
        exports("5.5")


def test_later_versions_add_and_drop_functions() -> None:
    assert known_in("auth.www_challenge") == ("5.7", "5.8", "6.0", "6.1")
    assert known_in("app_sqlang.run") == ("5.6", "5.7")
    assert known_in("sl.no_such_function") == ()
    assert exports("5.6")["kx.get_def"].module == "kemix"
