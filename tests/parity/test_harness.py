"""The comparison finds what it is made to find."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from kemi.cli.paths import PACKAGE
from kemi.lab.errors import LabError
from tests.parity.configuration import Configuration, Options, ours, stock
from tests.parity.known import explanation
from tests.parity.normal import Normaliser
from tests.parity.record import Record, compare
from tests.parity.root import Root, make
from tests.parity.run import run
from tests.parity.suites import NAT, SUITES

CASE = "calls: public says private host other port private media udp -> public says private host other port"


def broken_copy(folder: Path, module: str, line: str, instead: str = "pass") -> Path:
    """A copy of our routes with another line in place of one; its boot file."""
    package = folder / "kemi"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    text = (package / module).read_text()
    assert text.count(line) == 1, f"{module}: expected {line!r} once"
    (package / module).write_text(text.replace(line, instead))
    return package / "boot" / "kemi_boot.py"


def test_routes_that_do_not_mark_the_dialog_are_caught_by_their_record_route(tmp_path: Path) -> None:
    boot = broken_copy(tmp_path, "media.py", "request.mark_dialog_nated()")
    outcome = run(NAT, tmp_path / "run", only=CASE, subject=partial(ours, boot=boot))
    assert not outcome.equal
    for difference in outcome.differences.values():
        assert "Record-Route" in difference.fields
        assert "-Record-Route: <sip:192.0.2.10;lr;nat=yes>\n+Record-Route: <sip:192.0.2.10;lr>" in str(
            difference
        )


def test_routes_that_leave_media_sessions_behind_are_caught(tmp_path: Path) -> None:
    boot = broken_copy(tmp_path, "media.py", "        engine.handle(failure)", "        pass")
    outcome = run(
        NAT, tmp_path / "run", only="endings: 486, nated -> nated", subject=partial(ours, boot=boot)
    )
    (difference,) = outcome.differences.values()
    assert difference.place == "the relay, message 2"
    assert difference.fields == ("missing message",)
    assert difference.expected.startswith("D ")


def test_routes_that_register_a_nated_phone_as_reachable_are_caught(tmp_path: Path) -> None:
    boot = broken_copy(tmp_path, "registrar.py", "request.mark_destination_nated()", "pass")
    outcome = run(NAT, tmp_path / "run", only="registrations: new, nated", subject=partial(ours, boot=boot))
    assert {difference.place for difference in outcome.differences.values()} >= {
        "location of alice-1, message 1"
    }


def test_a_server_is_equal_to_itself(tmp_path: Path) -> None:
    outcome = run(NAT, tmp_path, only=CASE, subject=stock)
    assert outcome.equal
    assert not outcome.differences


def test_a_sample_is_played_of_many_cases_only(tmp_path: Path) -> None:
    registrations = run(NAT, tmp_path, only="registrations", subject=stock, one_in=8)
    assert 40 < len(registrations.equal) < 90
    assert len(run(NAT, tmp_path, only=CASE, subject=stock, one_in=8).equal) == len(
        run(NAT, tmp_path, only=CASE, subject=stock).equal
    )


def test_another_nat_test_is_caught(tmp_path: Path) -> None:
    def subject(options: Options, folder: Path) -> Configuration:
        return ours(replace(options, nat_tests=16), folder)

    outcome = run(NAT, tmp_path, only="registrations: new, same port", subject=subject)
    (difference,) = outcome.differences.values()
    assert difference.fields == ("Contact",)
    assert ';received="sip:' in difference.expected
    assert ';received="sip:' not in difference.found


def test_what_is_random_keeps_its_structure() -> None:
    def normal(*texts: str) -> list[str]:
        normaliser = Normaliser()
        normaliser.note_sent("Via: SIP/2.0/UDP a;branch=z9hG4bK-mine")
        return [normaliser(text) for text in texts]

    one = normal("Via: x;branch=z9hG4bKab.cd.0,y;branch=z9hG4bK-mine", "Via: x;branch=z9hG4bKab.cd.1")
    same = normal("Via: x;branch=z9hG4bKef.00.0,y;branch=z9hG4bK-mine", "Via: x;branch=z9hG4bKef.00.1")
    other = normal("Via: x;branch=z9hG4bKef.00.0,y;branch=z9hG4bK-mine", "Via: x;branch=z9hG4bKef.11.1")
    assert one == same
    assert one != other


def test_ports_of_the_relay_are_numbered_and_others_kept() -> None:
    normaliser = Normaliser()
    assert normaliser("m=audio 4000 RTP/AVP 8") == "m=audio 4000 RTP/AVP 8"
    assert (
        normaliser("m=audio 35590 RTP/AVP 8\na=rtcp:35591") == "m=audio <port 1> RTP/AVP 8\na=rtcp:<port 1>+1"
    )


def test_the_first_difference_names_its_header() -> None:
    expected, found = Record(), Record()
    expected.add("bob", "BYE sip:bob SIP/2.0\nTo: <sip:bob>\n\n")
    found.add("bob", "BYE sip:bob SIP/2.0\nTo: <sip:carol>\n\n")
    difference = compare("a case", expected, found)
    assert difference is not None
    assert str(difference).splitlines()[0] == "a case: bob, message 1: To"


def test_a_message_that_did_not_come_is_a_difference() -> None:
    expected = Record({"bob": ["BYE"], "alice": ["OK"]})
    missing = compare("a case", expected, Record({"alice": ["OK"]}))
    additional = compare("a case", Record({"alice": ["OK"]}), expected)
    assert missing is not None
    assert missing.fields == ("missing message",)
    assert additional is not None
    assert additional.fields == ("additional message",)


def codecs(*commands: str) -> Record:
    return Record({"the relay": list(commands), "bob": ["INVITE"]})


def test_a_known_difference_explains_itself_alone() -> None:
    case = "bodies: DTLS and ICE, open -> nated"
    stock, found = codecs("Uc8,0 call host 4000", "D call"), codecs("U call host 4000", "D call")
    assert explanation(case, stock, found) is not None
    assert explanation("bodies: two media, open -> nated", stock, found) is None
    assert explanation(case, stock, codecs("U call host 4002", "D call")) is None
    assert explanation(case, stock, codecs("U call host 4000")) is None
    found.add("bob", "CANCEL")
    assert explanation(case, stock, found) is None


def test_another_suite_than_those_of_debian_is_refused() -> None:
    with pytest.raises(LabError, match="suite sarge: expected one of trixie, forky"):
        make("sarge")


def test_a_suite_does_not_fit_a_stock_file_without_its_define(tmp_path: Path) -> None:
    old, new = tmp_path / "old.cfg", tmp_path / "new.cfg"
    old.write_text("#!ifdef WITH_NAT\n")
    new.write_text("#!ifdef WITH_NAT\n#!ifdef WITH_RTPRELAY\n")
    (suite,) = (suite for suite in SUITES if "RTPRELAY" in suite.name)
    assert suite.fits(new)
    assert not suite.fits(old)


def test_a_command_in_a_root_sees_the_shared_folders_and_leaves_no_mount(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("hello")
    root = tmp_path / "root"
    # A root of one program, which needs no libraries of its own: they are shared.
    libraries = [path for path in map(Path, ("/usr", "/bin", "/lib", "/lib64")) if path.exists()]
    for name in ("run", "dev", "proc"):
        (root / name).mkdir(parents=True)
    command = Root(root).command(["cat", str(tmp_path / "note")], [*libraries, tmp_path])
    assert subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout == "hello"
    assert str(root) not in Path("/proc/self/mountinfo").read_text()
