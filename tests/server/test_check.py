"""What `kemi check` calls a mistake is one: a real Kamailio fails as the text says, and starts with what is right."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kemi.check import cfg, check
from kemi.check.target import installed
from kemi.testing.client import Client
from kemi.testing.server import KamailioServer

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "unit" / "check_samples"
MISTAKES = Path(__file__).with_name("check_mistakes.py")
EXAMPLES = Path("/usr/share/doc/kamailio/examples/kemi")
SECONDS = 5.0

CFG = """\
children=1
loadmodule "kex.so"
loadmodule "pv.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "auth.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "jsonrpcs.so"
loadmodule "app_python3.so"
modparam("app_python3", "load", "{script}")
kemi.onsend_route_callback="none"
cfgengine "python"
"""


def _server(folder: Path, script: Path) -> KamailioServer:
    (folder / "kamailio.cfg").write_text(CFG.format(script=script))
    return KamailioServer(folder, cfg=folder / "kamailio.cfg")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KamailioServer]:
    folder = tmp_path_factory.mktemp("k")
    shutil.copy(MISTAKES, folder / "mistakes.py")
    with _server(folder, folder / "mistakes.py") as running:
        yield running


def _status(client: Client, question: str) -> int | None:
    """The status of the answer; None if the only worker has gone on to the next request without one."""
    requests = [client.request("INFO", f"sip:{user}@example.com") for user in (question, "right")]
    for request in requests:
        client.send(request)
    first = client.receive()
    if first.header("Call-ID") == requests[0].header("Call-ID"):
        assert client.final(requests[1]).status == 200
        return first.status
    assert first.status == 200
    return None


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("k201", 200),
        ("k301", None),
        ("k302", None),
        ("k303", None),
        ("k304", None),
        ("k305", None),
        ("k306", 400),
        ("k401", 400),
        ("k402", 400),
        ("k403", 400),
        ("k406", None),
        ("k504", 400),
        ("right", 200),
    ],
)
def test_kamailio_fails_at_each_mistake_as_the_documentation_says(
    server: KamailioServer, code: str, status: int | None
) -> None:
    with Client(server) as client:
        assert _status(client, code) == status


def test_a_callback_without_a_number_costs_the_next_message_its_answer(server: KamailioServer) -> None:
    with Client(server) as client:
        requests = [client.request("INFO", f"sip:{user}@example.com") for user in ("k404", "right", "right")]
        for request in requests:
            client.send(request)
        answered = [client.receive().header("Call-ID") for _ in range(2)]
        assert answered == [requests[0].header("Call-ID"), requests[2].header("Call-ID")]


def test_the_same_mistakes_are_found_in_the_script(server: KamailioServer) -> None:
    lines = MISTAKES.read_text().splitlines()
    found = check([server.folder / "mistakes.py", server.cfg], kamailio="5.6")
    named = set()
    for finding in found:
        if finding.file.endswith(".cfg"):
            assert finding.code == "K504"
            continue
        before = "\n".join(lines[: finding.line])
        nearest = re.findall(r"(?:def |== \")(k\d+)", before)[-1]
        assert finding.code == nearest.upper(), finding.as_text()
        named.add(nearest)
    assert named == set(re.findall(r"(?:def |== \")(k\d+)", "\n".join(lines))) - {"k504"}


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ("k101_syntax.py", "IndentationError|SyntaxError"),
        ("k102_module.py", "No module named 'pyyaml_typo'"),
        ("k102_relative.py", "attempted relative import"),
        ("k103_neighbour/routes.py", "cannot import name 'is_free'"),
        ("k106_dot/my.routes.py", "No module named 'my'"),
        ("k205_result.py", "has returned None"),
        ("k205_missing/routes.py", "no attribute 'mod_init'"),
        ("k206_child.py", "should return 'int'"),
        ("no/such.py", "No module named 'such'"),
    ],
)
def test_kamailio_does_not_start(tmp_path: Path, sample: str, said: str) -> None:
    scripts = tmp_path / "scripts"
    source = (SAMPLES / sample).parent if "/" in sample else SAMPLES
    if source == SAMPLES:
        scripts.mkdir()
        shutil.copy(source / sample, scripts)
    elif source.is_dir():
        shutil.copytree(source, scripts)
    server = _server(tmp_path, scripts / Path(sample).name)
    found = [each.code for each in check([server.cfg], kamailio="5.6")]
    try:
        assert server.launch().wait(SECONDS) != 0
        assert re.search(said, server.log_text())
    finally:
        server.stop()
    assert (sample[:4].upper() if sample != "no/such.py" else "K502") in found


def test_kamailio_starts_with_what_is_right(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "correct" / "with_cfg" / "script.py", tmp_path / "script.py")
    with _server(tmp_path, tmp_path / "script.py") as server, Client(server) as client:
        assert client.ask("INFO", "sip:bob@example.com").status == 404
        assert [each.code for each in check([server.cfg], kamailio="5.6")] == []


def test_kamailio_takes_the_configuration_that_is_right() -> None:
    path = SAMPLES / "correct" / "with_cfg" / "kamailio.cfg"
    run = subprocess.run(["kamailio", "-c", "-f", str(path)], capture_output=True, text=True, timeout=SECONDS)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("text", "column", "severity", "said"),
    [
        ("bogus_directive=1", 16, "error", "syntax error; unknown config variable"),
        ('modparam("usrloc", "preload", location)', 31, "error", "syntax error; Invalid arguments"),
        # Another start may define it.
        ('modparam("usrloc", "preload", TABLE)', 31, "warning", "syntax error; Invalid arguments"),
        ('modparam("usrloc", "prelaod", "location")', 41, "error", "not found in module <usrloc>"),
        ("event_route[x:y] { exit }", 25, "error", "syntax error"),
        # Another machine may have it.
        ('loadmodule "sll.so"', 12, "warning", "could not find module <sll>"),
    ],
)
def test_a_line_that_kamailio_refuses_is_named(
    tmp_path: Path, text: str, column: int, severity: str, said: str
) -> None:
    path = tmp_path / "kamailio.cfg"
    # Where the file sends the log elsewhere, the answer still comes.
    path.write_text(f"log_stderror=no\n{CFG.format(script='kemi_boot.py')}{text}\n")
    line = path.read_text().splitlines().index(text) + 1
    found = [each for each in check([path], kamailio="5.6") if each.code == "K510"]
    assert [(each.file, each.line, each.severity) for each in found] == [(str(path), line, severity)]
    assert found[0].column == column
    assert said in found[0].what
    assert [each for each in check([path], kamailio="6.1") if each.code == "K510"] == []


def test_without_a_module_its_parameters_and_functions_are_no_further_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "kamailio.cfg"
    path.write_text('loadmodule "sll.so"\nmodparam("sll", "a", 1)\nevent_route[x:y] { sll_send("1"); }\n')
    assert [each.line for each in check([path], kamailio="5.6") if each.code == "K510"] == [1]
    path.write_text('loadmodule "pvv.so"\nloadmodule "sll.so"\nrequest_route { if ($ru == 1) { exit; } }\n')
    found = [each for each in check([path], kamailio="5.6") if each.code == "K510"]
    assert [each.line for each in found] == [1]
    assert "nor without 1 more" in found[0].why
    path.write_text('loadmodule "sll.so"\nbogus_directive=1\n')
    found = [each for each in check([path], kamailio="5.6") if each.code == "K510"]
    assert [(each.line, each.severity) for each in found] == [(1, "warning"), (2, "warning")]


def test_a_line_of_an_included_file_is_named_with_its_file(tmp_path: Path) -> None:
    path, included = tmp_path / "kamailio.cfg", tmp_path / "local.cfg"
    path.write_text(f'include_file "{included}"\n{CFG.format(script="kemi_boot.py")}')
    included.write_text("\nbogus_directive=1\n")
    found = [each for each in check([path], kamailio="5.6") if each.code == "K510"]
    assert [(each.file, each.line) for each in found] == [(str(included), 2)]
    included.write_text("\nbogus_directive=1  # kemi: ignore[K510]\n")
    assert [each for each in check([path], kamailio="5.6") if each.code == "K510"] == []


def test_a_define_of_the_start_is_given_to_kamailio_too(tmp_path: Path) -> None:
    path = tmp_path / "kamailio.cfg"
    path.write_text(f'{CFG.format(script="kemi_boot.py")}modparam("usrloc", "preload", TABLE)\n')
    assert [each.code for each in check([path], kamailio="5.6", defines=['TABLE="location"'])] == []
    found = check([path], kamailio="5.6", defines=["TABLES=1"])
    assert ("K510", "error") in [(each.code, each.severity) for each in found]


def test_kamailio_does_not_run_the_script_when_it_is_asked_about_the_file(tmp_path: Path) -> None:
    script, proof = tmp_path / "routes.py", tmp_path / "it_ran"
    start = f"open({str(proof)!r}, 'w').close()\n"
    script.write_text(f"{start}\n\ndef mod_init():\n    {start}    return None\n")
    path = tmp_path / "kamailio.cfg"
    path.write_text(CFG.format(script=script))
    run = cfg.ask_kamailio(path, [], "-c", SECONDS)
    assert run is not None
    assert b"config file ok" in run.stderr
    assert not proof.exists()


@pytest.mark.parametrize("sample", ["k508_engine", "k508_lua", "k508_order", "k509_define", "k509_order"])
def test_kamailio_refuses_the_configuration_that_is_wrong(sample: str) -> None:
    path = SAMPLES / sample / "kamailio.cfg"
    run = subprocess.run(
        ["kamailio", "-c", "-f", str(path)], capture_output=True, check=False, timeout=SECONDS
    )
    assert run.returncode != 0


def test_kamailios_own_example_has_two_mistakes() -> None:
    script, configuration = EXAMPLES / "kamailio-basic-kemi-python.py", EXAMPLES / "kamailio-basic-kemi.cfg"
    assert script.exists(), f"{script}: expected the examples of Debian's package kamailio, found none"
    lines = script.read_text().splitlines()
    for paths, defines in (([script], []), ([script, configuration], ["WITH_CFGPYTHON3"])):
        found = check(paths, kamailio="5.6", defines=defines)
        assert [each.code for each in found] == ["K202", "K401"]
        assert "ksr_onsend_route" in found[0].what
        assert any(";nat=yes" in line for line in lines[found[1].line - 1 : found[1].line + 2])
    assert [each.code for each in check([script], kamailio="6.1")] == ["K401"]


@pytest.mark.parametrize(
    "defines", [[], ["WITH_NAT"], ["WITH_AUTH", "WITH_IPAUTH", "WITH_PRESENCE", "WITH_TLS"]]
)
@pytest.mark.parametrize(
    "path",
    [ROOT / "kamailio.cfg", Path("/etc/kamailio/kamailio.cfg"), EXAMPLES / "kamailio-basic-kemi.cfg"],
    ids=lambda path: path.name,
)
def test_kamailio_reads_its_configuration_as_we_do(
    monkeypatch: pytest.MonkeyPatch, path: Path, defines: list[str]
) -> None:
    target = installed()
    assert target is not None
    with_kamailio = cfg.read(path, path.name, target, defines)
    monkeypatch.setattr(cfg, "installed", lambda: None)
    assert cfg.read(path, path.name, target, defines).statements == with_kamailio.statements
    assert any(statement.active for statement in with_kamailio.statements)


def test_conditions_that_only_kamailio_can_decide_are_left_to_it(tmp_path: Path) -> None:
    target = installed()
    said = subprocess.run(
        ["kamailio", "-v"], capture_output=True, text=True, check=True, timeout=SECONDS
    ).stdout
    version = re.search(r"kamailio (\d+)\.(\d+)\.(\d+)", said)
    assert target is not None
    assert version is not None
    path = tmp_path / "kamailio.cfg"
    exactly = "KAMAILIO_" + "_".join(version.groups())
    path.write_text(f'#!ifdef {exactly}\nloadmodule "pike.so"\n#!else\nloadmodule "sl.so"\n#!endif\n')
    read = cfg.read(path, path.name, target)
    assert (read.loads("pike"), read.loads("sl")) == (True, False)
    assert [(each.line, each.column) for each in read.active("loadmodule")] == [(2, 1)]


def test_the_command_takes_less_than_two_seconds() -> None:
    """Of the processor, however busy it is."""
    before = _seconds_of_children()
    command = [
        str(Path(sys.executable).with_name("kemi")),
        "check",
        str(ROOT / "routes"),
        str(ROOT / "kamailio.cfg"),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "No mistakes found.\n"), run.stderr
    assert _seconds_of_children() - before < 2


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
