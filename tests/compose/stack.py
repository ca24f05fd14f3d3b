"""The stack as its user has it: a copy of the files, and the commands of the documentation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kemi.cli.paths import PACKAGE
from kemi.deadline import wait_until
from kemi.lab.errors import LabError
from tests.compose.engine import Engine

FILES = (
    ".dockerignore",
    "Makefile",
    "docker",
    "docker-compose.yml",
    "kamailio.cfg",
    "kemi",
    "routes",
    "rtpproxy",
)
KAMAILIO = "198.51.100.10"
RELAY = "198.51.100.20"
PHONES = tuple(f"198.51.100.{number}" for number in range(100, 140))
"""Addresses for clients beside the containers."""


class Stack:
    """A clone's files in a folder of the engine."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        folder.mkdir(parents=True)
        ignored = shutil.ignore_patterns("__pycache__")
        for name in FILES:
            source = PACKAGE.parent / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=ignored)
            else:
                shutil.copy(source, folder / name)

    # -- what a user types

    def make(self, *words: str, seconds: float = 300) -> str:
        """`make` and what it prints. Raises LabError when it fails."""
        return self.engine.output(["make", *words], folder=self.folder, seconds=seconds)

    def make_fails(self, *words: str) -> str:
        """`make`, which must fail; what it says."""
        done = self.engine.run(["make", *words], folder=self.folder, seconds=300)
        assert done.returncode != 0, f"make {' '.join(words)} succeeded:\n{done.stdout}"
        return done.stdout + done.stderr

    def compose(self, *words: str, seconds: float = 300) -> str:
        return self.engine.output(["docker", "compose", *words], folder=self.folder, seconds=seconds)

    def add_user(self, name: str) -> str:
        """`make user`; the password that it shows."""
        said = self.make("user", f"NAME={name}")
        return said.partition("password ")[2].split()[0]

    def add_users(self, *names: str, password: str) -> None:
        """Make users known, all at once, whoever made some of them known before."""
        program = (
            "import os, sys; from kemi.cli.database import connect; from kemi.cli.subscribers import Subscribers\n"
            "sys.path.append('/opt/kemi/docker'); from database_url import database_url\n"
            "with connect(database_url()) as database:\n"
            "    users, domain = Subscribers(database), os.environ['SIP_DOMAIN']\n"
            "    for name in sys.argv[2:]:\n"
            "        if (name, domain) in users.all(): users.remove(name, domain)\n"
            "        users.add(name, domain, sys.argv[1])"
        )
        self.execute("kamailio", "python3", "-c", program, password, *names)

    # -- .env

    @property
    def env_file(self) -> Path:
        return self.folder / ".env"

    @property
    def env(self) -> dict[str, str]:
        """The lines of `.env`, comments left out."""
        lines = (line.partition("=") for line in self.env_file.read_text().splitlines() if "=" in line)
        return {name: value for name, _, value in lines if not name.startswith("#")}

    def set_env(self, **values: str) -> None:
        """Replace or add lines of `.env`."""
        kept = [
            line for line in self.env_file.read_text().splitlines() if line.partition("=")[0] not in values
        ]
        self.env_file.write_text(
            "\n".join([*kept, *(f"{name}={value}" for name, value in values.items()), ""])
        )

    # -- what runs

    def container(self, service: str) -> str:
        """The id of a service's container. Raises LabError when there is none."""
        found = self.compose("ps", "--all", "--quiet", service).split()
        if not found:
            raise LabError(f"service {service} has no container")
        return found[0]

    def inspect(self, service: str) -> dict[str, Any]:
        found = json.loads(self.engine.output(["docker", "inspect", self.container(service)]))
        assert isinstance(found[0], dict)
        return found[0]

    def execute(self, service: str, *command: str) -> str:
        """What a command prints in a service's container."""
        return self.compose("exec", "--no-TTY", service, *command)

    def logs(self, service: str, since: str = "") -> str:
        words = ["logs", "--no-color", "--no-log-prefix", *(["--since", since] if since else []), service]
        return self.compose(*words)

    def wait_for_log(self, service: str, text: str, seconds: float = 60, since: str = "") -> str:
        """Wait until a service's log holds `text`; the log."""
        what = f"{service} to log {text!r}"
        return wait_until(
            what, lambda: log if text in (log := self.logs(service, since)) else "", seconds, every=0.3
        )

    def wait_healthy(self, service: str, seconds: float = 120) -> None:
        def is_healthy() -> bool:
            state = self.inspect(service)["State"]
            return bool(state["Running"] and state["Health"]["Status"] == "healthy")

        wait_until(f"{service} to be healthy", is_healthy, seconds, every=0.3)

    def sql(self, statement: str) -> list[list[str]]:
        """The rows of a statement, as texts."""
        # The shell inside fills in what it knows.
        script = (
            "MYSQL_PWD=$(cat /run/secrets/db_password) exec mariadb --no-defaults --protocol=tcp --host=127.0.0.1 "
            '--user="$MARIADB_USER" --batch --skip-column-names "$MARIADB_DATABASE" --execute "$0"'
        )
        printed = self.execute("database", "sh", "-c", script, statement)
        return [line.split("\t") for line in printed.splitlines()]

    def kill(self, service: str) -> None:
        """End a service's first process as a crash would, seen from outside its container."""
        pid = int(self.inspect(service)["State"]["Pid"])
        assert pid, f"{service} is not running"
        self.engine.kill(pid)

    def memory_mib(self, services: Sequence[str]) -> dict[str, float]:
        """Memory of each service as the kernel counts it for its limit."""
        names = {self.container(service)[:12]: service for service in services}
        printed = self.engine.output(
            ["docker", "stats", "--no-stream", "--format", "{{.ID}} {{.MemUsage}}", *names]
        )
        return {names[line.split()[0][:12]]: _mib(line.split()[1]) for line in printed.splitlines()}

    def address_clients(self) -> None:
        """Give this machine the addresses of PHONES, on the network of the containers."""
        network = json.loads(self.engine.output(["docker", "network", "inspect", "kemi_public"]))
        bridge = f"br-{network[0]['Id'][:12]}"
        self.engine.namespace.ip(*(f"addr replace {address}/32 dev {bridge}" for address in PHONES))


def _mib(text: str) -> float:
    for unit, size in (("GiB", 1024.0), ("MiB", 1.0), ("KiB", 1 / 1024)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * size
    raise ValueError(f"docker stats: expected an amount in KiB, MiB or GiB, found '{text}'")
