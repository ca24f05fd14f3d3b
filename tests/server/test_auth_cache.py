"""Passwords checked from memory (WITH_AUTH_CACHE)."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from kemi.cli.database import connect
from kemi.cli.subscribers import Subscribers
from kemi.cli.user import user
from kemi.testing.client import Client
from kemi.testing.digest import authorize
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers, database
from tests.server.phones import PASSWORD

DOMAIN = "example.com"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return database(tmp_path / "kamailio.sqlite", {"alice": PASSWORD, "bob": PASSWORD})


@pytest.fixture
def server(start: Servers, url: str) -> KamailioServer:
    return start("WITH_AUTH", "WITH_AUTH_CACHE", DBURL=url)


def test_a_password_that_was_proved_needs_no_database(
    start: Servers, server: KamailioServer, url: str, alice: Client
) -> None:
    assert alice.register(password=PASSWORD).status == 200
    with connect(url) as opened:
        opened.execute("ALTER TABLE subscriber RENAME TO away")
    assert alice.register(password=PASSWORD).status == 200
    assert alice.register(password="wrong").status == 401
    # Nothing is known of Bob.
    assert start.client(server, "bob", address="127.0.0.3").register(password=PASSWORD).status == 401


def test_a_new_password_counts_at_once(url: str, alice: Client) -> None:
    assert alice.register(password=PASSWORD).status == 200
    with connect(url) as opened:
        Subscribers(opened).change_password("alice", DOMAIN, "another")
    assert alice.register(password="another").status == 200


@pytest.mark.parametrize("command", ["passwd", "remove"])
def test_kemi_user_has_the_server_forget_the_old_password(
    command: str, server: KamailioServer, url: str, alice: Client
) -> None:
    assert alice.register(password=PASSWORD).status == 200
    words = [command, f"alice@{DOMAIN}", "--db", url, "--socket", str(server.rpc_socket)]
    typed = ["--password-stdin"] if command == "passwd" else []
    done = CliRunner().invoke(user, [*words, *typed], input="another\n")
    assert done.exit_code == 0, done.output
    assert done.output.endswith("The server has forgotten the old password.\n")
    assert alice.register(password=PASSWORD).status == 401


@pytest.mark.parametrize("defines", [("WITH_AUTH", "WITH_AUTH_CACHE"), ("WITH_AUTH",)])
def test_kemi_user_is_content_with_a_server_that_has_nothing_to_forget(
    start: Servers, url: str, defines: tuple[str, ...]
) -> None:
    server = start(*defines, DBURL=url)
    done = CliRunner().invoke(
        user, ["remove", f"alice@{DOMAIN}", "--db", url, "--socket", str(server.rpc_socket)]
    )
    assert (done.exit_code, done.output) == (0, f"removed alice@{DOMAIN}\n")


def test_kemi_user_names_the_server_that_does_not_answer(url: str, tmp_path: Path) -> None:
    nobody = tmp_path / "nobody.sock"
    done = CliRunner().invoke(user, ["remove", f"alice@{DOMAIN}", "--db", url, "--socket", str(nobody)])
    assert done.exit_code == 1
    assert f"removed alice@{DOMAIN}\nError: {nobody}: htable.delete" in done.output


def test_clear_passwords_are_kept_as_such(start: Servers, url: str, tmp_path: Path) -> None:
    with connect(url) as opened:
        opened.execute("UPDATE subscriber SET ha1 = '', password = ?", PASSWORD)
    server = start("WITH_AUTH", "WITH_AUTH_CACHE", "WITH_CLEARTEXT", DBURL=url)
    with Client(server, "alice") as alice:
        assert alice.register(password=PASSWORD).status == 200
        with connect(url) as opened:
            opened.execute("ALTER TABLE subscriber RENAME TO away")
        assert alice.register(password=PASSWORD).status == 200
        assert alice.register(password="wrong").status == 401


def test_nobody_is_somebody_else_from_memory(alice: Client, bob: Client) -> None:
    assert alice.register(password=PASSWORD).status == 200
    assert bob.register(password=PASSWORD).status == 200
    # Alice's digest for a REGISTER of Bob.
    request = alice.request("REGISTER", f"sip:{DOMAIN}", to=bob.uri, headers={"From": f"<{bob.uri}>;tag=1"})
    alice.send(request)
    answer = alice.final(request)
    again = authorize(request, answer, "alice", PASSWORD)
    alice.send(again)
    assert alice.final(again).status == 401
