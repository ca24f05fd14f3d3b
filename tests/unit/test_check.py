"""`kemi check` finds every planted mistake at its line, and nothing else anywhere."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from kemi.check import Finding, NothingToCheckError, check, modules
from kemi.check.codes import CODES
from kemi.cli.check import check as command
from kemi.stubs.exports import versions

ROOT = Path(__file__).parents[2]
# A sample is a file or a folder; each line with a mistake says which: `# expect: K401`.
SAMPLES = Path(__file__).with_name("check_samples")
CORRECT = SAMPLES / "correct"
_EXPECTED = re.compile(r"# expect: (K\d+)")
OLDEST = "5.6"

samples = sorted(path for path in SAMPLES.iterdir() if path != CORRECT and path.name != "__pycache__")
corrects = sorted(path for path in CORRECT.iterdir() if path.name != "__pycache__")


def _files(sample: Path) -> list[Path]:
    return [sample] if sample.is_file() else sorted(path for path in sample.iterdir() if path.is_file())


def _expected(sample: Path) -> list[tuple[str, int, str]]:
    return [
        (str(path), number, code)
        for path in ([sample] if sample.is_file() else sample.rglob("*.*"))
        if path.suffix in (".py", ".yaml", ".cfg")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for code in _EXPECTED.findall(line)
    ]


def _found(findings: list[Finding]) -> list[tuple[str, int, str]]:
    return [(finding.file, finding.line, finding.code) for finding in findings]


@pytest.mark.parametrize("sample", samples, ids=lambda path: path.name)
def test_planted_mistakes_are_found_at_their_line_and_nothing_else(sample: Path) -> None:
    found = check(_files(sample), kamailio=OLDEST)
    assert sorted(_found(found)) == sorted(_expected(sample)), "\n".join(each.as_text() for each in found)
    assert _expected(sample)


def test_every_code_has_a_sample() -> None:
    # What only Kamailio itself finds has its samples in tests/server/test_check.py.
    assert {code for sample in samples for _, _, code in _expected(sample)} == set(CODES) - {"K510"}


@pytest.mark.parametrize("kamailio", versions())
@pytest.mark.parametrize("sample", corrects, ids=lambda path: path.name)
def test_correct_scripts_are_left_alone(sample: Path, kamailio: str) -> None:
    assert check(_files(sample), kamailio=kamailio) == []


@pytest.mark.parametrize("code", CODES)
def test_each_code_is_explained(code: str) -> None:
    result = CliRunner().invoke(command, ["--explain", code.lower()])
    assert result.exit_code == 0
    title, _, text = result.output.partition("\n")
    assert title == f"{code}: {CODES[code].title}"
    assert len(text.strip()) > 40
    assert "#" not in re.sub(r"# |#!|#L", "", text), "no other section"


def test_every_code_is_documented_and_nothing_else() -> None:
    text = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (K\d+): (.*)$", text, re.MULTILINE) == [(c, CODES[c].title) for c in CODES]


@pytest.mark.parametrize("kamailio", ["5.6", "6.0", "6.1"])
def test_nothing_is_wrong_with_our_own_files(kamailio: str) -> None:
    assert check(sorted((ROOT / "kemi").glob("*.py")), kamailio=kamailio) == []
    for settings in sorted((ROOT / "examples").rglob("*.yaml")):
        assert check([settings, ROOT / "kamailio.cfg"], kamailio=kamailio) == []
    assert check(sorted((ROOT / "examples").rglob("*.py")), kamailio=kamailio) == []
    assert check([ROOT / "routes", ROOT / "kamailio.cfg"], kamailio=kamailio) == []


@pytest.mark.parametrize(
    "define", ["WITH_NAT", "WITH_AUTH", "WITH_PRESENCE", "WITH_RTPENGINE", "WITH_JSONRPC"]
)
def test_our_configuration_is_right_with_each_define(define: str) -> None:
    defines = ["WITH_NAT", "WITH_ANTIFLOOD", define]
    assert check([ROOT / "kamailio.cfg"], kamailio=OLDEST, defines=defines) == []


# Pages that show mistakes: what kemi check says of those of the tutorial, its own test compares.
WITH_MISTAKES = {"checks.md", "tutorial.md"}


def _snippets() -> list[tuple[str, str]]:
    """The Python in the documentation, but for fragments of a class."""
    found = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        texts = re.findall(
            r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
        for number, text in enumerate(texts):
            lines = [line for line in text.splitlines() if line and not line.startswith("#")]
            if page.name not in WITH_MISTAKES and lines and not lines[0].startswith(" "):
                found.append((f"{page.stem}_{number}.py", text))
    return found


@pytest.mark.parametrize(("name", "text"), _snippets(), ids=[name for name, _ in _snippets()])
def test_nothing_is_wrong_with_code_in_the_documentation(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    # A snippet may import what another one on its page defines.
    found = [each for each in check([tmp_path / name], kamailio=OLDEST) if each.code != "K102"]
    assert found == [], "\n".join(each.as_text() for each in found)


@pytest.mark.parametrize(("kamailio", "count"), [("5.6", 0), ("5.7", 1), ("6.1", 1)])
def test_what_a_later_kamailio_brings_is_allowed_there(tmp_path: Path, kamailio: str, count: int) -> None:
    sample = tmp_path / "challenge.py"
    sample.write_text("import KSR\n\n\ndef ask():\n    KSR.auth.www_challenge('example.com', 0)\n")
    codes = [each.code for each in check([sample], kamailio=kamailio)]
    assert codes == ["K302"][count:]


def test_from_5_8_on_a_callback_may_be_missing_or_return_nothing() -> None:
    assert check([SAMPLES / "k202_onsend.py"], kamailio="5.8") == []
    assert check([SAMPLES / "k404_result.py"], kamailio="6.1") == []


def test_defines_say_which_modules_are_loaded() -> None:
    sample = _files(SAMPLES / "k303_define")
    assert [each.severity for each in check(sample, kamailio=OLDEST)] == ["warning"]
    assert check(sample, kamailio=OLDEST, defines=["WITH_NAT"]) == []
    assert [each.severity for each in check(sample, kamailio=OLDEST, defines=["WITH_AUTH"])] == ["error"]


def test_defines_say_which_modules_have_parameters() -> None:
    sample = _files(SAMPLES / "k509_define")
    assert [each.severity for each in check(sample, kamailio=OLDEST)] == ["warning"]
    assert check(sample, kamailio=OLDEST, defines=["WITH_PINGS"]) == []
    assert [each.severity for each in check(sample, kamailio=OLDEST, defines=["OTHERS"])] == ["error"]


def test_the_script_and_settings_that_a_cfg_names_are_checked_too(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "k301_unknown.py", tmp_path / "routes.py")
    cfg = tmp_path / "kamailio.cfg"
    cfg.write_text(
        f'loadmodule "app_python3.so"\nmodparam("app_python3", "load", "{tmp_path}/routes.py")\ncfgengine "python"\n'
        'loadmodule "sl.so"\nloadmodule "tm.so"\n'
    )
    found = check([cfg], kamailio=OLDEST)
    assert [each.code for each in found if each.file.endswith("routes.py")] == [
        "K205",
        "K301",
        "K301",
        "K301",
    ]


def test_the_text_says_where_what_why_and_how_to_mend_it() -> None:
    run = CliRunner().invoke(command, [str(SAMPLES / "k305_type.py"), "--kamailio", "5.6"])
    assert run.exit_code == 1
    place, why, fix = run.output.splitlines()[:3]
    assert place.endswith(
        'k305_type.py:7:23: K305 KSR.sl.send_reply(): argument 1: expected a number, found "200"'
    )
    assert why.startswith("    why: up to Kamailio 5.6 the call raises")
    assert fix.startswith("    fix: KSR.sl.send_reply(")
    assert run.output.splitlines()[-1] == "4 errors, 0 warnings."


def test_json_has_the_same(tmp_path: Path) -> None:
    run = CliRunner().invoke(
        command, [str(SAMPLES / "k702_blocking.py"), "--kamailio", "5.6", "--format", "json"]
    )
    assert run.exit_code == 0  # warnings only
    found = json.loads(run.output)
    assert [(each["line"], each["code"], each["severity"]) for each in found] == [
        (17, "K702", "warning"),
        (29, "K702", "warning"),
    ]
    assert set(found[0]) == {"file", "line", "column", "code", "what", "why", "fix", "severity"}


def test_without_arguments_the_current_folder_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLES / "k601_settings")
    run = CliRunner().invoke(command, [])
    assert run.exit_code == 1
    assert run.output.startswith("kemi.yaml:3:1: K601 nat.tests: unknown test 'contcat'\n")
    assert "fix: did you mean 'contact'?" in run.output


@pytest.mark.parametrize("name", ["nowhere.py", "nowhere.yaml", "nowhere.cfg", "notes.txt", "empty"])
def test_what_cannot_be_checked_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    run = CliRunner().invoke(command, [str(tmp_path / name)])
    assert run.exit_code == 2
    assert name in run.output
    with pytest.raises(NothingToCheckError, match=re.escape(name)):
        check([tmp_path / name])


@pytest.mark.parametrize(("depth", "severity"), [(1000, "warning"), (5000, "error"), (20000, "error")])
def test_a_script_that_is_nested_too_deeply_is_named(tmp_path: Path, depth: int, severity: str) -> None:
    (tmp_path / "routes.py").write_text("-" * depth + "1\n")
    found = check([tmp_path / "routes.py"])
    assert [(each.line, each.code, each.severity) for each in found] == [(1, "K101", severity)]
    assert "nested too deeply" in found[0].what


@pytest.mark.parametrize("what", ["not ", "-", "lambda: "])
def test_what_is_nested_as_deeply_as_may_be_is_checked(tmp_path: Path, what: str) -> None:
    text = "import KSR\n\n\ndef look(msg):\n    if {}KSR.siputils.has_totag():\n        KSR.nothing.there()\n"
    found = []
    for depth in range(200, 450, 10):
        (tmp_path / "deep.py").write_text(text.format(what * depth))
        found.append({each.code for each in check([tmp_path / "deep.py"], kamailio=OLDEST)})
    # Up to a depth all of it is checked, from there on the file is named.
    assert "K301" in found[0]
    assert found[-1] == {"K101"}
    assert all("K301" in codes or codes == {"K101"} for codes in found)


def test_names_that_stand_for_each_other_are_no_trap(tmp_path: Path) -> None:
    (tmp_path / "round.py").write_text("import KSR\n\na = b\nb = a\nif a.x.y():\n    KSR.nothing.there()\n")
    assert {each.code for each in check([tmp_path / "round.py"], kamailio=OLDEST)} == {"K301"}


def test_settings_that_are_nested_too_deeply_are_named(tmp_path: Path) -> None:
    (tmp_path / "kemi.yaml").write_text("router: " + "[" * 3000)
    found = check([tmp_path / "kemi.yaml"])
    assert [(each.line, each.code) for each in found] == [(1, "K601")]
    assert "found something nested too deeply to be read" in found[0].what


def test_a_cfg_that_is_no_text_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "kamailio.cfg").write_bytes(b"\x7fELF\x02\x01\x01\0\0\xff\xfe")
    found = check([tmp_path / "kamailio.cfg"], kamailio=OLDEST)
    assert [(each.line, each.column, each.code) for each in found] == [(1, 8, "K507")]
    assert found[0].what == "expected a text file, found binary data (a NUL byte)"


def test_one_server_is_checked_at_a_time(tmp_path: Path) -> None:
    settings = [SAMPLES / "k601_settings" / "kemi.yaml", SAMPLES / "k601_yaml" / "kemi.yaml"]
    with pytest.raises(NothingToCheckError, match=r"found .*k601_settings/kemi\.yaml too"):
        check(settings)


def test_modules_are_looked_for_beside_a_link(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "routes.py").symlink_to(SAMPLES / "k103_neighbour" / "routes.py")
    assert [each.code for each in check([tmp_path / "site" / "routes.py"])] == ["K102"]
    (tmp_path / "site" / "numbers_of_ours.py").write_text("is_free = is_premium = None\n")
    assert check([tmp_path / "site" / "routes.py"]) == []


def test_what_is_installed_beside_kemi_comes_before_the_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed, site = tmp_path / "site-packages", tmp_path / "site"
    for folder in (installed / "billing", installed / "tariffs", site):
        folder.mkdir(parents=True)
    monkeypatch.setattr(modules, "HOME", str(installed))
    (site / "kemi.yaml").write_text("router: billing:Routes\n")
    (site / "billing.py").write_text(
        "from tariffs import TARIFFS\nfrom kemi.router import Router\n\n\n"
        "class Routes(Router):\n    tariffs = TARIFFS\n"
    )
    (site / "tariffs.py").write_text("TARIFFS = {}\n")
    assert check([site]) == []  # folders without __init__.py come last
    (installed / "billing" / "__init__.py").touch()
    (installed / "tariffs" / "__init__.py").touch()
    found = check([site])
    assert [(Path(each.file).name, each.line, each.code) for each in found] == [
        ("billing.py", 1, "K105"),
        ("kemi.yaml", 1, "K105"),
    ]
    assert found[1].what == "there is an installed module 'billing'"
    monkeypatch.setattr(modules, "HOME", str(site))
    assert check([site]) == []  # rules beside kemi itself are what is found there


def test_an_unknown_version_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"expected a Kamailio version out of 5\.6, .*, found '4\.4'"):
        check([SAMPLES / "k305_type.py"], kamailio="4.4")
    assert CliRunner().invoke(command, ["--kamailio", "4.4", str(SAMPLES)]).exit_code == 2


def test_nothing_of_what_is_checked_runs(tmp_path: Path) -> None:
    proof = tmp_path / "it_ran"
    (tmp_path / "helpers.py").write_text(f"open({str(proof)!r}, 'w').close()\nNAME = 1\n")
    (tmp_path / "routes.py").write_text(
        f"import KSR\nfrom helpers import NAME\nopen({str(proof)!r}, 'w').close()\n"
    )
    assert check([tmp_path / "routes.py"]) == []
    assert not proof.exists()
