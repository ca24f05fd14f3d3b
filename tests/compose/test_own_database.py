"""A MySQL server outside the stack (LOCAL_DATABASE=0), told of in .env alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemi.deadline import wait_until
from kemi.testing.client import Client
from tests.compose.engine import HOST, OUTSIDE, Engine
from tests.compose.phone import Target, register
from tests.compose.stack import Stack

_PORT = "3307"
_NAME = "kemi-test-own-database"
_ENV = {
    "LOCAL_DATABASE": "0",
    "DB_HOST": HOST,
    "DB_PORT": _PORT,
    "DB_NAME": "pbx",
    "DB_USER": "operator",
    "DB_PASSWORD": "another-secret",
}
_BESIDE = {
    "COMPOSE_PROJECT_NAME": "own",
    "NETWORK": "203.0.113",
    "PRIVATE_NETWORK": "172.31.239",
    "SIP_PORT": "6060",
    "TLS_PORT": "6061",
    "MEDIA_PORTS": "36000-36009",
}
"""What keeps this stack apart from the other one."""


class Database:
    """A MariaDB on the engine's machine, which no compose file knows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        secrets = engine.folder / "own-database"
        secrets.mkdir()
        (secrets / "user").write_text(_ENV["DB_PASSWORD"])
        (secrets / "root").write_text("a-third-secret")
        words = ["docker", "run", "--detach", "--rm", f"--name={_NAME}", "--network=host"]
        words += [f"--volume={secrets}:/run/secrets:ro"]
        for name, value in (
            ("DATABASE", _ENV["DB_NAME"]),
            ("USER", _ENV["DB_USER"]),
            ("PASSWORD_FILE", "/run/secrets/user"),
            ("ROOT_PASSWORD_FILE", "/run/secrets/root"),
        ):
            words.append(f"--env=MARIADB_{name}={value}")
        engine.output([*words, engine.environment["DATABASE_IMAGE"], f"--port={_PORT}"])

    def wait_until_ready(self) -> None:
        wait_until("the database outside the stack to answer", self._answers, 60, every=0.5)

    def rows(self, statement: str) -> list[list[str]]:
        return [line.split("\t") for line in self._engine.output(self._client(statement)).splitlines()]

    def stop(self) -> None:
        self._engine.output(["docker", "stop", _NAME])

    def _answers(self) -> bool:
        return self._engine.succeeds(self._client("SELECT 1"))

    def _client(self, statement: str) -> list[str]:
        words = [
            "docker",
            "exec",
            f"--env=MYSQL_PWD={_ENV['DB_PASSWORD']}",
            _NAME,
            "mariadb",
            "--no-defaults",
        ]
        words += ["--protocol=tcp", "--host=127.0.0.1", f"--port={_PORT}", f"--user={_ENV['DB_USER']}"]
        return [*words, "--batch", "--skip-column-names", _ENV["DB_NAME"], f"--execute={statement}"]


@pytest.fixture(scope="module")
def database(engine: Engine) -> Iterator[Database]:
    database = Database(engine)
    try:
        database.wait_until_ready()
        yield database
    finally:
        database.stop()


@pytest.fixture(scope="module")
def own(engine: Engine, database: Database) -> Iterator[Stack]:
    """A second clone's stack, which uses it."""
    own = Stack(engine, engine.folder / "own")
    # From the first on, else ports and volume of the other stack would be in its way.
    beside = (f"{name}={value}" for name, value in _BESIDE.items())
    engine.output(["env", *beside, "python3", "docker/stack.py", "prepare"], folder=own.folder)
    own.set_env(**_BESIDE, **_ENV)
    own.make("up", seconds=600)
    yield own
    own.make("down", "ARGS=-v")


def test_the_tables_are_made_there_and_no_database_is_started_here(own: Stack, database: Database) -> None:
    assert own.compose("ps", "--all", "--quiet", "database").split() == []
    assert own.inspect("kamailio")["State"]["Health"]["Status"] == "healthy"
    assert f"mysql://operator:***@{HOST}:{_PORT}/pbx: created " in own.logs("kamailio")
    assert {"subscriber", "location", "version"} <= {row[0] for row in database.rows("SHOW TABLES")}


def test_make_user_and_registrations_write_there(own: Stack, database: Database) -> None:
    password = own.add_user("dora")
    assert database.rows("SELECT username FROM subscriber") == [["dora"]]
    with own.engine.outside.entered():
        dora = Client(
            Target(HOST, int(_BESIDE["SIP_PORT"])),
            "dora",
            address=OUTSIDE,
            domain=own.env["SIP_DOMAIN"],
            contact_host="192.168.5.5",
            contact_port=5060,
        )
    with dora:
        assert register(dora, password).status == 200
        expected = [["dora", f"sip:{OUTSIDE}:{dora.port}", f"udp:{_BESIDE['NETWORK']}.10:5060"]]
        assert database.rows("SELECT username, received, socket FROM location") == expected


def test_a_new_start_finds_the_tables_and_the_registration(own: Stack, database: Database) -> None:
    before = database.rows("SELECT ruid FROM location")
    own.compose("restart", "kamailio")
    own.wait_for_log("kamailio", "all tables are there")
    own.wait_healthy("kamailio")
    assert database.rows("SELECT ruid FROM location") == before
