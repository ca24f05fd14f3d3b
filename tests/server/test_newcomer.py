"""The newcomer's path: the tutorial from the wheel, step by step, and what its five mistakes do to a server."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kemi.cli.processes import Server
from kemi.testing.client import Client
from tests import documents
from tests.documents import Dial, Mend, Type, Write
from tests.server.distribution import Terminal
from tests.server.free_ports import free_port

DOMAIN = "example.org"
ADDRESS = "127.0.0.1"
START_SECONDS = 60.0
STEPS = documents.steps("tutorial.md")
MISTAKES = dict(
    zip(
        ["syntax error", "import error", "wrong function", "wrong setting", "exception in start"],
        [step for step in STEPS if isinstance(step, Write) and step.append],
        strict=True,
    )
)
# What Kamailio says to each when it is forced upon it; a wrong function is found by the message that needs it.
REFUSALS = {
    "syntax error": "SyntaxError: invalid syntax",
    "import error": "ModuleNotFoundError: No module named 'phonebook'",
    "wrong setting": "nat.tests: unknown test 'contcat'; did you mean 'contact'?",
    "exception in start": "RuntimeError: no database",
}


@dataclass
class Newcomer:
    """Somebody with two terminals and a phone."""

    terminal: Terminal
    port: int = field(default_factory=free_port)
    password: str = ""
    server: Server | None = None

    @property
    def address(self) -> str:
        return ADDRESS

    @property
    def folder(self) -> Path:
        return self.terminal.folder

    def do(self, step: documents.Step) -> None:
        """Take a step of the tutorial, and see what it shows."""
        match step:
            case Write(name, text, append):
                path = self.folder / name
                path.write_text((path.read_text() if append else "") + text)
            case Type("kemi run"):
                self.run()
            case Type(command):
                self.type(command, step)
            case Dial(number, answer):
                assert self.dial(number) == answer
            case Mend():
                raise AssertionError("only `broken` knows what was there before")

    def type(self, command: str, shown: Type) -> None:
        if command.startswith("cd "):
            self.terminal = self.terminal.elsewhere(self.folder / command.removeprefix("cd "))
            return
        # `kemi run` and `kemi user` have to mean the same domain, and other servers may run on this machine.
        options = f" --domain {DOMAIN}" if command.startswith("kemi user") else ""
        code, output = self.terminal.type(command + options)
        assert shown.printed(output), f"{command}:\n{output}"
        fails = any(re.match(r"Error: |\d+ errors?, ", line) for line in shown.output)
        assert code == (1 if fails else 0), f"{command}: exit code {code}\n{output}"
        if made := re.search(r", password (\S+) ", output):
            self.password = made[1]

    def run(self, *options: str) -> Server:
        """`kemi run` in the second terminal, until it is ready or ends."""
        where = (
            f"--address {ADDRESS} --port {self.port} --domain {DOMAIN} --control udp:{ADDRESS}:{free_port()}"
        )
        command = self.terminal.command(" ".join(["kemi run", where, *options]))
        self.server = Server("kemi run", command, self.folder, self.folder.parent / f"run-{self.port}.log")
        for _ in range(int(START_SECONDS / 0.1)):
            if "Ctrl-C" in self.server.output or self.server.ended(0.1) is not None:
                return self.server
        raise self.server.failure(f"was neither ready nor at its end within {START_SECONDS:g} s")

    def dial(self, number: str) -> str:
        """What alice's phone shows."""
        with Client(self, "alice", domain=DOMAIN) as phone:
            answer = phone.ask("INVITE", f"sip:{number}@{DOMAIN}", password=self.password)
        return f"{answer.status} {answer.reason}"

    def answers_keepalives(self) -> bool:
        with Client(self, "alice", domain=DOMAIN) as phone:
            return phone.ask("OPTIONS", f"sip:{ADDRESS}:{self.port}").status == 200

    @contextmanager
    def broken(self, mistake: Write) -> Iterator[None]:
        """Within the block the mistake is in the file."""
        path = self.folder / mistake.name
        before = path.read_text()
        self.do(mistake)
        try:
            yield
        finally:
            path.write_text(before)

    def leave(self) -> None:
        if self.server is not None:
            # It gives each of its servers ten seconds.
            self.server.stop(seconds=30)


@pytest.fixture(scope="module")
def clean(installed: Terminal) -> Newcomer:
    """With the tutorial's folder as it is once all mistakes are mended, and no server."""
    newcomer = Newcomer(installed.elsewhere(installed.folder / "clean"))
    newcomer.folder.mkdir()
    for step in STEPS:
        if (isinstance(step, Write) and not step.append) or (
            isinstance(step, Type) and step.command.startswith(("kemi new", "cd ", "kemi user"))
        ):
            newcomer.do(step)
    return newcomer


@pytest.fixture(scope="module")
def serving(clean: Newcomer) -> Iterator[Newcomer]:
    """The same, served."""
    newcomer = Newcomer(clean.terminal, password=clean.password)
    try:
        server = newcomer.run()
        assert server.is_running, server.output
        yield newcomer
    finally:
        newcomer.leave()


def test_the_tutorial_works_as_it_is_written(installed: Terminal) -> None:
    folder = installed.folder / "tutorial"
    folder.mkdir()
    newcomer = Newcomer(installed.elsewhere(folder))
    steps = iter(STEPS)
    try:
        for step in steps:
            if isinstance(step, Write) and step.append:
                until_mended = list(itertools.takewhile(lambda each: not isinstance(each, Mend), steps))
                with newcomer.broken(step):
                    for each in until_mended:
                        newcomer.do(each)
            else:
                newcomer.do(step)
    finally:
        newcomer.leave()


@pytest.mark.parametrize("name", MISTAKES)
def test_no_mistake_stops_a_server(serving: Newcomer, name: str) -> None:
    with serving.broken(MISTAKES[name]):
        assert serving.terminal.type("kemi check")[0] == 1

        code, output = serving.terminal.type("kemi reload")
        assert (code, "nothing was loaded" in output) == (1, True), output
        assert serving.dial("0900123") == "403 No premium numbers"

        code, output = serving.terminal.type("kemi reload --force")
        if name in REFUSALS:
            assert "refused, the previous routes go on serving: " in output
            assert REFUSALS[name] in output
            assert code == 1
            assert serving.dial("0900123") == "403 No premium numbers"
        else:
            assert code == 0, output
            assert serving.dial("0900123").startswith("500 ")
        assert serving.answers_keepalives()

    code, output = serving.terminal.type("kemi reload")
    assert code == 0, output
    assert serving.dial("0900123") == "403 No premium numbers"


@pytest.mark.parametrize("name", MISTAKES)
def test_no_server_starts_with_a_mistake_that_can_be_found(
    clean: Newcomer, name: str, tmp_path: Path
) -> None:
    newcomer = Newcomer(clean.terminal)
    with newcomer.broken(MISTAKES[name]):
        try:
            server = newcomer.run(f"--state={tmp_path}")
            assert server.ended(0) == 1
            assert re.match(rf"{MISTAKES[name].name}:\d+:\d+: K\d+ ", server.output)
            assert "Error: not started; mend what is above" in server.output
        finally:
            newcomer.leave()


@pytest.mark.parametrize("name", REFUSALS)
def test_forced_to_start_kamailio_refuses_and_says_why(clean: Newcomer, name: str, tmp_path: Path) -> None:
    newcomer = Newcomer(clean.terminal)
    with newcomer.broken(MISTAKES[name]):
        try:
            server = newcomer.run("--force", f"--state={tmp_path}")
            assert server.ended(0) == 1
            # It ends, or is ended: where it fails in child_init, Kamailio does not always find its own end.
            assert "Error: kamailio " in server.output
            assert REFUSALS[name] in server.output
        finally:
            newcomer.leave()


def test_a_new_folder_is_right_from_the_first_moment(installed: Terminal) -> None:
    code, output = installed.type("kemi new fresh")
    assert code == 0, output
    assert "cd fresh" in output
    fresh = installed.elsewhere(installed.folder / "fresh")
    assert fresh.type("kemi check") == (0, "No mistakes found.\n")
    code, output = fresh.type("python -m pytest -p no:cacheprovider")
    assert (code, "2 passed" in output) == (0, True), output
    # The tools are the clone's, what they read is the newcomer's.
    python = installed.environment / "bin" / "python"
    for tool in ("ruff check .", "ruff format --check .", f"mypy --python-executable {python}"):
        code, output = fresh.type(f"{sys.executable} -m {tool}")
        assert code == 0, output


def test_a_new_folder_overwrites_nothing(installed: Terminal) -> None:
    folder = installed.folder / "taken"
    (folder / "tests").mkdir(parents=True)
    (folder / "kemi.yaml").write_text("profile: stock\n")
    assert installed.type("kemi new taken") == (
        1,
        "Error: taken: already has kemi.yaml; nothing was written. Choose another folder, or take them away\n",
    )
    assert {path.name for path in folder.iterdir()} == {"tests", "kemi.yaml"}
    (folder / "kemi.yaml").unlink()
    here = installed.elsewhere(folder)
    code, output = here.type("kemi new .")
    assert (code, "cd " in output) == (0, False), output


def test_a_folder_that_cannot_be_made_is_named(installed: Terminal) -> None:
    (installed.folder / "file").write_text("a file where a folder is wanted")
    assert installed.type("kemi new file") == (1, "Error: file: cannot be written: File exists\n")
