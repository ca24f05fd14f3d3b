"""The generated types of KSR: complete, current, explained, and able to find the mistakes they exist for."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from mypy import api

from kemi.cli.stubs import stubs
from kemi.stubs import meaning
from kemi.stubs.exports import exports, known_in, versions
from kemi.stubs.generate import constant, of_exports, of_versions
from kemi.stubs.server import described

ROOT = Path(__file__).parents[2]
PARSED = {name: ast.parse(text) for name, text in of_versions().items()}

# What the stock configuration, the NAT modules and their neighbours export.
EXPLAINED = [
    "core",
    "kx",
    "pv",
    "pvx",
    "hdr",
    "tm",
    "tmx",
    "sl",
    "rr",
    "maxfwd",
    "sanity",
    "siputils",
    "textops",
    "textopsx",
    "registrar",
    "nathelper",
    "rtpproxy",
    "rtpengine",
    "auth",
    "auth_db",
    "permissions",
    "pike",
    "htable",
    "dispatcher",
    "path",
    "dmq",
    "uac",
    "acc",
    "dialog",
    "alias_db",
    "speeddial",
    "domain",
    "presence",
    "xhttp",
    "jsonrpcs",
    "mqueue",
    "msilo",
    "sqlops",
    "xlog",
    "corex",
    "dlgs",
    "statistics",
    "counters",
    "http_client",
    "http_async_client",
    "nat_traversal",
    "uri_db",
    "cfgutils",
    "xhttp_prom",
]

# Each marked line is a mistake, with the code of mypy's message; all others are right.
SNIPPET = """\
import KSR
from typing_extensions import assert_type


def wrong_test() -> bool:
    return not KSR.siputils.has_totag()  # truthy-bool


def wrong_transaction() -> int:
    if KSR.tm.t_check_trans():  # truthy-bool
        return 1
    return 2 if KSR.registrar.lookup("location") else 3  # truthy-bool


def wrong_chain() -> bool:
    return KSR.is_INVITE() and bool(KSR.rr.loose_route() or KSR.tm.t_relay())  # truthy-bool


def wrong_return() -> bool:
    return KSR.siputils.has_totag()  # return-value


def wrong_argument() -> None:
    KSR.sl.send_reply("200", "OK")  # arg-type
    KSR.pv.sets("$var(a)", 1)  # arg-type


def wrong_count() -> None:
    KSR.sl.send_reply(200)  # call-arg
    KSR.registrar.lookup("location", 0)  # call-arg
    KSR.registrar.lookup(table="location")  # call-arg


def wrong_name() -> None:
    KSR.sl.send_replie(200, "OK")  # attr-defined
    KSR.registrars.lookup("location")  # attr-defined


def wrong_none() -> str:
    KSR.kx.get_ua().lower()  # union-attr
    KSR.hdr.get("Contact") + ";expires=60"  # operator
    written = KSR.info("text")  # func-returns-value
    return KSR.pv.get("$ru")  # return-value


def right() -> int:
    code = KSR.siputils.has_totag()
    if code < 0 or code > 0 or code <= 0 or code >= 0 or code == -1 or code != 1 or code in (0, -1):
        return int(code)
    if not KSR.is_INVITE() and KSR.pv.is_null("$ua") and not KSR.kx.ifdef("WITH_NAT"):
        return KSR.tm.t_get_status_code()
    agent = KSR.kx.get_ua()
    if agent is not None and agent.startswith("friendly"):
        return KSR.htable.sht_inc("scanners", agent) + 1
    assert_type(KSR.pv.get("$ru"), str | int | None)
    assert_type(KSR.pv.gete("$ru"), str | int)
    assert_type(KSR.hdr.get("Contact"), str | None)
    assert_type(KSR.kx.gete_ua(), str)
    assert_type(KSR.kx.get_srcport(), int)
    KSR.x.modf("t_relay_to", "udp:192.0.2.1:5060")
    return 0
"""

# In Kamailio 6.0 the first is there; the second came with 6.1.
NEWER = """\
import KSR

KSR.auth.www_challenge("example.com", 0)
KSR.is_TCPX()
"""


def found_by_mypy(folder: Path, text: str, *, newer: tuple[str, ...]) -> tuple[list[tuple[int, str]], str]:
    """Lines and codes of what mypy finds; `newer` are the versions that the user's Kamailio is older than."""
    settings = folder / "mypy.ini"
    absent = ",".join(constant(version) for version in newer)
    settings.write_text(
        "[mypy]\nstrict = true\nenable_error_code = truthy-bool\n"
        f"mypy_path = {ROOT / 'stubs'}\n" + (f"always_false = {absent}\n" if absent else "")
    )
    (folder / "routes.py").write_text(text)
    options = ["--no-error-summary", "--config-file", str(settings), "--cache-dir", str(folder / "cache")]
    output, errors, _ = api.run([*options, str(folder / "routes.py")])
    found = re.findall(r"routes\.py:(\d+): error: .*\[([\w-]+)\]$", output, re.MULTILINE)
    return sorted((int(line), code) for line, code in found), output + errors


def defined(version: str) -> set[str]:
    """The functions that a type checker sees in the stubs of all versions, told that `version` runs."""
    holds = {constant(known): known in versions()[: versions().index(version) + 1] for known in versions()}
    names: set[str] = set()
    visible = {"__init__"}
    for file in ("KSR/__init__.pyi", *sorted(PARSED)):
        family = Path(file).stem
        if family not in visible:
            continue
        for node in _visible(PARSED[file].body, holds):
            if isinstance(node, ast.ImportFrom) and node.module is None:
                visible |= {alias.name for alias in node.names}
            elif isinstance(node, ast.FunctionDef):
                names.add(node.name if family == "__init__" else f"{family}.{node.name}")
    return names


def _visible(body: list[ast.stmt], holds: dict[str, bool]) -> list[ast.stmt]:
    seen: list[ast.stmt] = []
    for node in body:
        if not isinstance(node, ast.If):
            seen.append(node)
        elif eval(ast.unparse(node.test), {}, holds):
            seen += node.body
    return seen


def test_mypy_finds_the_mistakes_and_nothing_else(tmp_path: Path) -> None:
    expected = [
        (number, code)
        for number, line in enumerate(SNIPPET.splitlines(), 1)
        for code in line.partition("  # ")[2].split()
    ]
    found, output = found_by_mypy(tmp_path, SNIPPET, newer=())
    assert found == expected, output


def test_a_function_that_the_users_kamailio_lacks_is_unknown(tmp_path: Path) -> None:
    found, output = found_by_mypy(tmp_path, NEWER, newer=("6.1",))
    assert found == [(4, "attr-defined")], output


@pytest.mark.parametrize("version", versions())
def test_every_function_is_in_the_stubs_of_its_versions_only(version: str) -> None:
    writable = {name for name in exports(version) if not name.startswith("async.")}  # not a name in Python
    assert defined(version) - {"x.modf"} == writable


def test_the_committed_stubs_are_current() -> None:
    folder = ROOT / "stubs"
    committed = {str(path.relative_to(folder)): path.read_text() for path in (folder / "KSR").glob("*.pyi")}
    assert committed == of_versions(), "run: kemi stubs stubs"


def test_every_function_that_the_library_calls_is_explained() -> None:
    called = {name for path in (ROOT / "kemi").glob("*.py") for name in _called(path)}
    assert "tm.t_relay" in called
    assert "is_myself" in called
    missing = [name for name in sorted(called) if meaning.doc(name) is None]
    assert missing == [], "explain them in kemi/stubs/docs, then run: kemi stubs stubs"


def _called(path: Path) -> set[str]:
    chains = {
        ast.unparse(node).removeprefix("KSR.")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("KSR.")
    }
    return {name for name in chains if known_in(name)}


@pytest.mark.parametrize("family", EXPLAINED)
def test_every_function_of_the_usual_modules_is_explained_and_no_other(family: str) -> None:
    exported = {
        name.rpartition(".")[2]
        for version in versions()
        for name in exports(version)
        if (name.rpartition(".")[0] or meaning.CORE) == family
    }
    assert set(meaning.family(family).functions) == exported
    assert meaning.family(family).about


@pytest.mark.parametrize("family", EXPLAINED)
def test_what_an_answer_means_is_said_where_the_type_does_not(family: str) -> None:
    newest = {name: export for version in versions() for name, export in exports(version).items()}
    for function, doc in meaning.family(family).functions.items():
        export = newest[function if family == meaning.CORE else f"{family}.{function}"]
        assert bool(doc.gives) == (export.returns == "int"), export.name
        assert doc.does.endswith((".", "?")), export.name
        assert not doc.gives.endswith("."), export.name


def test_other_functions_name_the_page_of_their_module() -> None:
    text = of_versions()["KSR/geoip2.pyi"]
    assert "Module geoip2: https://www.kamailio.org/docs/modules/stable/modules/geoip2.html" in text


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(stubs, [str(tmp_path / "file" / "typings")])
    assert result.exit_code == 1
    assert (
        f"{tmp_path}/file/typings/KSR: cannot be written: Not a directory; name another FOLDER"
        in result.output
    )


def test_the_command_writes_the_stubs_of_one_version_and_removes_stale_ones(tmp_path: Path) -> None:
    folder = tmp_path / "typings"
    first = CliRunner().invoke(stubs, [str(folder)])
    assert first.output == (
        f"{folder / 'KSR'}: {len(of_versions())} files for Kamailio 5.6 to 6.1; "
        f"mypy finds them with mypy_path = {folder}\n"
    )
    own = folder / "KSR" / "mine.pyi"
    own.write_text("def mine() -> int: ...\n")
    second = CliRunner().invoke(stubs, [str(folder), "--kamailio", "6.0"])
    assert second.exit_code == 0
    assert "for Kamailio 6.0;" in second.output
    written = {f"KSR/{path.name}": path.read_text() for path in (folder / "KSR").iterdir() if path != own}
    assert written == of_exports(exports("6.0").values())
    assert own.exists()
    assert "since Kamailio 5.7" in written["KSR/auth.pyi"]
    assert "KAMAILIO" not in "".join(written.values())


def test_the_reference_has_a_page_for_each_explained_family(tmp_path: Path) -> None:
    result = CliRunner().invoke(stubs, [str(tmp_path), "--reference"])
    assert result.output == f"{tmp_path}: {len(EXPLAINED) + 1} pages, begin with index.md\n"
    assert {path.stem for path in tmp_path.iterdir()} == {"index", *EXPLAINED}
    page = (tmp_path / "auth.md").read_text()
    assert "    KSR.auth.www_challenge(realm: str, flags: int) -> Code\n" in page
    assert "[Module auth, since Kamailio 5.7](https://www.kamailio.org/" in page
    assert "(registrar.md)" in (tmp_path / "index.md").read_text()


def test_a_function_of_ones_own_module_is_taken_as_the_server_describes_it() -> None:
    listed: dict[str, str | None] = {"module": "mine", "name": "count", "ret": "int", "params": "str, int"}
    export = described(listed)
    assert export is not None
    text = of_exports([export])["KSR/mine.pyi"]
    assert 'def count(parameter1: str, parameter2: int, /) -> Code:\n    """Module mine."""\n' in text
    assert described({**listed, "params": None}) is None


def test_one_version_and_a_server_at_once_are_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(stubs, [str(tmp_path), "--kamailio", "6.0", "--from-server"])
    assert result.exit_code == 2
    assert "expected one of --kamailio and --from-server, found both" in result.output


def test_an_unknown_version_is_named_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"Kamailio '5\.5'; expected one of 5\.6, 5\.7, 5\.8, 6\.0, 6\.1"):
        exports("5.5")


def test_later_versions_add_and_drop_functions() -> None:
    assert known_in("auth.www_challenge") == ("5.7", "5.8", "6.0", "6.1")
    assert known_in("app_sqlang.run") == ("5.6", "5.7")
    assert known_in("sl.no_such_function") == ()
    assert exports("5.6")["kx.get_def"].module == "kemix"
    assert exports("5.6")["registrar.save"].param_names == ("table", "flags")
