"""Wrong lines of .env stop `make up` with what to change."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from tests.compose.engine import Engine
from tests.compose.stack import Stack

_BESIDE = {
    "COMPOSE_PROJECT_NAME": "other",
    "SIP_PORT": "6060",
    "TLS_PORT": "6061",
    "MEDIA_PORTS": "36000-36009",
}


@pytest.fixture(scope="module")
def other(engine: Engine) -> Stack:
    """A clone that is not running, with an .env of its own."""
    other = Stack(engine, engine.folder / "other")
    # From the first on, else ports and volume of the stack that is running would be in its way.
    beside = (f"{name}={value}" for name, value in _BESIDE.items())
    engine.output(["env", *beside, "python3", "docker/stack.py", "prepare"], folder=other.folder)
    other.set_env(**_BESIDE)
    return other


@pytest.fixture(autouse=True)
def env_restored(other: Stack) -> Iterator[None]:
    before = other.env_file.read_text()
    yield
    other.env_file.write_text(before)


@pytest.mark.parametrize(
    ("line", "value", "expected"),
    [
        (
            "ADVERTISED_ADDRESS",
            "203.0.113.300",
            "expected the IPv4 address at which phones reach this machine",
        ),
        ("ADVERTISED_ADDRESS", "", "set the IPv4 address at which phones reach this machine"),
        ("ADVERTISED_ADDRESS", "0.0.0.0", "expected the IPv4 address at which phones reach this machine"),
        ("SIP_DOMAIN", "sip example", "expected a host name such as sip.example.org"),
        ("SIP_PORT", "70000", "expected a port, 1 to 65535, found '70000'"),
        ("MEDIA_PORTS", "35000", "expected MIN-MAX"),
        ("DB_PASSWORD", "", "set the password of DB_USER in the database"),
        ("DB_MODE", "4", "1 (write-through)"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    other: Stack, line: str, value: str, expected: str
) -> None:
    other.set_env(**{line: value})
    said = other.make_fails("up")
    assert f".env: {line}: " in said
    assert expected in said


def test_another_database_needs_a_host(other: Stack) -> None:
    other.set_env(LOCAL_DATABASE="0")
    said = other.make_fails("up")
    assert ".env: DB_HOST: expected the host of your database server" in said


def test_a_wrong_password_is_not_shown(other: Stack) -> None:
    other.set_env(DB_PASSWORD="a:b@c")
    said = other.make_fails("up")
    assert ".env: DB_PASSWORD: expected a text without blanks, quotes and : @ / \\" in said
    assert "a:b@c" not in said


@pytest.mark.parametrize(
    ("line", "transport", "port"),
    [("SIP_PORT", "udp", 6060), ("TLS_PORT", "tcp", 6061), ("MEDIA_PORTS", "udp", 36004)],
)
def test_a_port_that_is_taken_is_named(other: Stack, line: str, transport: str, port: int) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with other.engine.namespace.entered():
        taken = socket.socket(socket.AF_INET, kind)
    with taken:
        taken.bind(("0.0.0.0", port))
        if transport == "tcp":
            taken.listen(1)
        said = other.make_fails("up")
    assert f".env: {line}={other.env[line]}: {transport} port {port} is in use on this machine" in said
    assert f"set another {line}" in said


def test_without_an_env_file_compose_names_it(other: Stack) -> None:
    env = other.env_file.read_text()
    other.env_file.unlink()
    done = other.engine.run(["docker", "compose", "up"], folder=other.folder)
    other.env_file.write_text(env)
    assert done.returncode != 0
    # Compose names the first of them that it comes to, in no order of its own.
    named = re.search(
        r"required variable (\w+) is missing a value: is not in .env; make up writes one", done.stderr
    )
    assert named, done.stderr
    assert named[1] in ("ADVERTISED_ADDRESS", "SIP_DOMAIN"), named[0]
