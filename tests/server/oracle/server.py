"""A real Kamailio whose script calls the KSR functions that a test names and sends back what they gave."""

from __future__ import annotations

import json
import random
import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kemi.cli.paths import kamailio_environment
from kemi.process import ChildProcess
from tests.parity.root import MACHINE, Root
from tests.server.oracle.messages import Question

HERE = Path(__file__).parent
DEADLINE = 10.0
LINES_SHOWN = 20
SUBSCRIBERS = {"alice": "secret", "bob": "hunter2"}


class Oracle:
    """A Kamailio on an address of its own (127.0.0.0/8), whose script sends its answers to our socket."""

    def __init__(self, folder: Path, relay: str, rtpengine: str, root: Root = MACHINE) -> None:
        #: The Kamailio that answers, "5.6".
        self.version = version(root)
        self.address = "127." + ".".join(str(random.randint(1, 254)) for _ in range(3))
        self.questions = folder / "questions.json"
        self.asked = 0
        self.answers = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.answers.bind(("127.0.0.1", 0))
        self.answers.settimeout(DEADLINE)
        port = self.answers.getsockname()[1]
        environment = {
            **kamailio_environment(),
            "ORACLE_PORT": str(port),
            "ORACLE_QUESTIONS": str(self.questions),
        }
        command = ["kamailio", "-f", str(HERE / "kamailio.cfg"), "-DD", "-E"]
        command += ["-m", "16", "-M", "4", "-Y", str(folder), "-l", f"udp:{self.address}:5060"]
        subscribers(folder / "subscribers.sqlite", root)
        command += ["-A", f'ORACLE_DB="sqlite:///{folder / "subscribers.sqlite"}"']
        command += ["-A", f'ORACLE_RELAY="{relay}"']
        command += ["-A", f'ORACLE_RTPENGINE="{rtpengine}"']
        command += ["-A", f'ORACLE_SCRIPT="{HERE / "answers.py"}"']
        command = root.command(command, [folder, HERE])
        self.process = ChildProcess("kamailio", command, folder / "kamailio.log", environment=environment)
        #: Names of all functions that this server exports to Python.
        self.functions: set[str] = set(self.await_answer("ready")["functions"])

    def await_answer(self, name: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(self.answers.recv(65535))
        except TimeoutError:
            pytest.fail(
                f"Kamailio sent no answer {name!r} within {DEADLINE} s; {self.process.end_of_log(LINES_SHOWN)}"
            )
        assert answer["name"] == name
        return answer

    def prepare(self, questions: dict[str, list[Question]]) -> None:
        self.questions.write_text(json.dumps(questions))

    def ask(self, sender: socket.socket, data: bytes, name: str, calls: list[Question]) -> list[Any]:
        if not self.process.is_running:
            pytest.fail(
                f"Kamailio has ended with code {self.process.exit_status}; {self.process.end_of_log(LINES_SHOWN)}"
            )
        self.prepare({name: calls})
        sender.sendto(data, (self.address, 5060))
        answers: list[Any] = self.await_answer(name)["answers"]
        return answers

    def stop(self) -> None:
        self.process.stop()
        self.answers.close()


def subscribers(path: Path, root: Root) -> None:
    """A database with Kamailio's own tables and `SUBSCRIBERS`, passwords in clear."""
    with closing(sqlite3.connect(path)) as database, database:
        for script in ("standard-create.sql", "auth_db-create.sql"):
            database.executescript((root.sql / "db_sqlite" / script).read_text())
        rows = [(user, "example.com", password) for user, password in SUBSCRIBERS.items()]
        database.executemany("insert into subscriber (username, domain, password) values (?, ?, ?)", rows)


def version(root: Root) -> str:
    """The Kamailio of this root, "5.6"."""
    told = root.version()
    match = re.search(r"kamailio (\d+\.\d+)", told)
    assert match, f"expected 'version: kamailio 5.6.3', found {told!r}"
    return match[1]
