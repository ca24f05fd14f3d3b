"""`kemi db` and `kemi user` on SQLite and on a real MariaDB; a real Kamailio then reads what they wrote."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kemi.cli.database import Database, DatabaseError, DatabaseUrl, connect
from kemi.cli.main import main
from kemi.cli.processes import Server
from kemi.cli.schema import Table, create, read_tables, upgrade
from tests.server.free_ports import free_port
from tests.server.mariadb import wait_for

PATIENCE = 30.0
KAMAILIO = shutil.which("kamailio", path=f"{os.environ['PATH']}:/usr/sbin")


def kemi(*arguments: str, typed: str = "", succeeds: bool = True) -> Result:
    result = CliRunner().invoke(main, arguments, input=typed, catch_exceptions=False)
    assert (result.exit_code == 0) is succeeds, result.output
    return result


def rows(url: str, statement: str) -> Sequence[tuple[object, ...]]:
    with connect(url) as database:
        return database.rows(statement)


def change(url: str, statement: str) -> None:
    with connect(url) as database:
        database.execute(statement)


def test_create_makes_the_tables_of_the_installed_kamailio(url: str) -> None:
    created = kemi("db", "create", "--db", url)
    for table in ("version", "location", "subscriber", "acc", "dbaliases", "speed_dial", "domain", "address"):
        assert f" {table}" in created.output
    assert "all of the version that the installed Kamailio expects" in kemi("db", "check", "--db", url).output


def test_create_adds_what_is_missing_and_leaves_the_rest(url: str) -> None:
    kemi("db", "create", "--db", url)
    kemi("user", "add", "alice@example.org", "--db", url, "--password-stdin", typed="secret\n")
    change(url, "DROP TABLE speed_dial")
    change(url, "DELETE FROM version WHERE table_name = 'speed_dial'")
    assert "table speed_dial: missing" in kemi("db", "check", "--db", url, succeeds=False).output
    assert kemi("db", "create", "--db", url).output.endswith(": created speed_dial\n")
    assert kemi("db", "create", "--db", url).output.endswith(": all tables are there\n")
    assert rows(url, "SELECT username, domain FROM subscriber") == [("alice", "example.org")]


def test_a_table_of_another_version_is_named(url: str) -> None:
    kemi("db", "create", "--db", url)
    change(url, "UPDATE version SET table_version = 1008 WHERE table_name = 'location'")
    change(url, "DELETE FROM version WHERE table_name = 'acc'")
    for command in ("create", "check"):
        output = kemi("db", command, "--db", url, succeeds=False).output
        assert re.search(
            r"table location: the installed Kamailio expects version \d+, found version 1008;", output
        )
        assert re.search(
            r"table acc: the installed Kamailio expects version \d+, found no version row;", output
        )


def make_older(url: str) -> None:
    """The location table of a Kamailio that knew no partitions, with a column of somebody's own and two contacts."""
    kemi("db", "create", "--db", url)
    change(url, "ALTER TABLE location DROP COLUMN `partition`")
    change(url, "ALTER TABLE location ADD COLUMN note VARCHAR(64)")
    change(url, "UPDATE version SET table_version = 8 WHERE table_name = 'location'")
    for name in ("alice", "bob"):
        change(
            url,
            "INSERT INTO location (ruid, username, contact, cseq, note) "
            f"VALUES ('r-{name}', '{name}', 'sip:{name}@192.0.2.1', 7, 'phone of {name}')",
        )


CONTACTS = "SELECT username, contact, cseq FROM {} ORDER BY username"
OF_BOTH = [("alice", "sip:alice@192.0.2.1", 7), ("bob", "sip:bob@192.0.2.1", 7)]


def test_a_table_of_an_older_version_is_upgraded_when_asked(url: str) -> None:
    make_older(url)
    for command in ("create", "check"):
        assert (
            "found version 8; run `kemi db upgrade`"
            in kemi("db", command, "--db", url, succeeds=False).output
        )
    assert rows(url, CONTACTS.format("location")) == OF_BOTH
    upgraded = kemi("db", "upgrade", "--db", url).output
    assert re.search(
        r": upgraded location to version \d+ without the column note \(as it was: location_v8\)\n$", upgraded
    )
    assert rows(url, CONTACTS.format("location")) == OF_BOTH
    assert rows(url, "SELECT `partition` FROM location") == [(0,), (0,)]
    assert rows(url, "SELECT note FROM location_v8 ORDER BY note") == [("phone of alice",), ("phone of bob",)]
    assert "all of the version that the installed Kamailio expects" in kemi("db", "check", "--db", url).output
    assert kemi("db", "upgrade", "--db", url).output.endswith(": all tables are there\n")


@pytest.mark.parametrize("statements", range(1, 9))
def test_an_upgrade_that_was_interrupted_is_finished_by_the_next(url: str, statements: int) -> None:
    make_older(url)
    with pytest.raises(Interrupted):
        do_until(url, statements, upgrade)
    # Whoever creates tables does not take it for one that is missing.
    assert "run `kemi db upgrade`" in kemi("db", "create", "--db", url, succeeds=False).output
    kemi("db", "upgrade", "--db", url)
    assert rows(url, CONTACTS.format("location")) == rows(url, CONTACTS.format("location_v8")) == OF_BOTH
    assert "all of the version that the installed Kamailio expects" in kemi("db", "check", "--db", url).output


def test_rows_that_do_not_fit_are_kept_and_named(url: str) -> None:
    make_older(url)
    change(url, "ALTER TABLE location DROP COLUMN callid")
    change(url, "ALTER TABLE location ADD COLUMN callid VARCHAR(255)")
    output = kemi("db", "upgrade", "--db", url, succeeds=False).output
    assert re.search("callid.* cannot be null|NOT NULL constraint failed: location.callid", output)
    match = re.search(r"They are in table (\w+): mend them there, and run `kemi db upgrade` again", output)
    assert match, output
    assert rows(url, CONTACTS.format(match[1])) == OF_BOTH
    change(url, f"UPDATE {match[1]} SET callid = 'one'")
    kemi("db", "upgrade", "--db", url)
    assert rows(url, CONTACTS.format("location")) == OF_BOTH


def test_an_upgrade_makes_an_older_table_that_is_not_there(url: str) -> None:
    make_older(url)
    change(url, "DROP TABLE location")
    assert kemi("db", "upgrade", "--db", url).output.endswith(": created location\n")


def test_an_upgrade_does_not_take_the_place_of_what_is_there(url: str) -> None:
    make_older(url)
    change(url, "CREATE TABLE location_v8 (mine INT)")
    output = kemi("db", "upgrade", "--db", url, succeeds=False).output
    assert (
        "cannot upgrade table location: expected no table location_v8, where its rows are to be kept"
        in output
    )
    assert rows(url, CONTACTS.format("location")) == OF_BOTH


def test_more_of_kamailios_tables_can_be_asked_for(url: str) -> None:
    assert " msilo" not in f" {kemi('db', 'create', '--db', url).output}"
    assert kemi("db", "create", "--db", url, "--with", "msilo").output.endswith(": created silo\n")
    output = kemi("db", "create", "--db", url, "--with", "mistake", succeeds=False).output
    assert "mistake-create.sql: no such file; this Kamailio has the sets acc, alias_db" in output


def test_the_default_sets_cover_every_table_of_the_standard_ones() -> None:
    for engine in ("sqlite", "mysql"):
        assert all(table.version > 0 and table.statements for table in read_tables(engine))


def test_a_failed_create_leaves_nothing_behind(sqlite_url: str) -> None:
    tables = read_tables("sqlite")
    tables[-1].statements.append("CREATE NONSENSE")
    with pytest.raises(DatabaseError, match="CREATE NONSENSE"), connect(sqlite_url) as database:
        create(database, tables)
    with connect(sqlite_url) as database:
        assert database.tables() == set()


class Interrupted(Exception):  # noqa: N818 - no error: a crash that is played
    pass


def do_until(url: str, statements: int, step: Callable[[Database, list[Table]], object]) -> None:
    """Create or upgrade tables, and raise Interrupted after so many statements."""
    left = iter(range(statements))
    with connect(url) as database, pytest.MonkeyPatch.context() as patch:
        run = database.execute

        def execute(statement: str, *values: object) -> int:
            if next(left, None) is None:
                raise Interrupted
            return run(statement, *values)

        patch.setattr(database, "execute", execute)
        step(database, read_tables(database.url.engine))


@pytest.mark.parametrize("statements", [1, 2, 3, 4, 6, 9, 20, 61])
def test_a_creation_that_was_interrupted_is_finished_by_the_next(url: str, statements: int) -> None:
    """MySQL keeps each table that is there so far."""
    with pytest.raises(Interrupted):
        do_until(url, statements, create)
    kemi("db", "create", "--db", url)
    assert "all of the version that the installed Kamailio expects" in kemi("db", "check", "--db", url).output
    assert kemi("db", "create", "--db", url).output.endswith(": all tables are there\n")


def test_nothing_is_dropped_that_holds_something(url: str) -> None:
    kemi("db", "create", "--db", url)
    kemi("user", "add", "alice@example.org", "--db", url, "--password-stdin", typed="secret\n")
    change(url, "UPDATE version SET table_version = 0 WHERE table_name = 'subscriber'")
    output = kemi("db", "create", "--db", url, succeeds=False).output
    assert re.search(
        r"table subscriber: the installed Kamailio expects version \d+, found version 0;", output
    )
    assert rows(url, "SELECT username FROM subscriber") == [("alice",)]


def test_two_creations_at_once_do_not_collide(url: str, tmp_path: Path) -> None:
    program = f"from kemi.cli.db import prepare; print(prepare({url!r}))"
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=tmp_path)
        for _ in range(3)
    ]
    said = sorted(process.communicate(timeout=PATIENCE)[0].decode().strip() for process in running)
    tables = ", ".join(table.name for table in read_tables(DatabaseUrl.parse(url).engine))
    assert said == ["all tables are there", "all tables are there", f"created {tables}"]


def test_the_file_is_closed_to_strangers(sqlite_url: str, tmp_path: Path) -> None:
    kemi("db", "create", "--db", sqlite_url)
    assert (tmp_path / "kemi.sqlite").stat().st_mode & 0o777 == 0o640


def test_a_check_does_not_create_the_file(sqlite_url: str, tmp_path: Path) -> None:
    assert (
        "no such file; run `kemi db create`" in kemi("db", "check", "--db", sqlite_url, succeeds=False).output
    )
    assert list(tmp_path.iterdir()) == []


def test_users_are_added_listed_changed_and_removed(url: str) -> None:
    def hashes() -> object:
        return rows(url, "SELECT ha1, ha1b FROM subscriber WHERE username = 'alice'")[0]

    def expected(password: str) -> object:
        ha1 = f"alice:example.org:{password}"
        ha1b = f"alice@example.org:example.org:{password}"
        return tuple(hashlib.md5(text.encode()).hexdigest() for text in (ha1, ha1b))

    at = ("--db", url, "--domain", "example.org")
    assert kemi("user", "add", "alice", *at, "--password-stdin", typed="secret\n").output == (
        "added alice@example.org\n"
    )
    assert hashes() == expected("secret")
    assert "changed" in kemi("user", "passwd", "alice", *at, "--password-stdin", typed="better\n").output
    assert hashes() == expected("better")
    kemi("user", "add", "bob@example.com", *at)
    assert kemi("user", "list", "--db", url).output == "bob@example.com\nalice@example.org\n"
    kemi("user", "remove", "bob@example.com", "--db", url)
    assert kemi("user", "list", "--db", url).output == "alice@example.org\n"


def test_a_password_is_made_shown_once_and_stored_nowhere(sqlite_url: str, tmp_path: Path) -> None:
    output = kemi("user", "add", "alice", "--domain", "example.org", "--db", sqlite_url).output
    match = re.fullmatch(r"added alice@example.org, password (\w{16}) \(shown only now\)\n", output)
    assert match, output
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert match[1].encode() not in stored
    assert hashlib.md5(f"alice:example.org:{match[1]}".encode()).hexdigest().encode() in stored


@pytest.mark.parametrize(
    ("arguments", "typed", "reason"),
    [
        (["add", "alice"], "", "user alice@example.org exists already; `kemi user passwd alice` changes"),
        (
            ["remove", "carol"],
            "",
            "no user carol@example.org; there is alice@example.org. Is --domain right?",
        ),
        (["passwd", "carol"], "", "no user carol@example.org; there is alice@example.org."),
        (["add", "al ice"], "", "user 'al ice': expected 1 to 64 letters, digits or any of"),
        (["add", "@example.org"], "", "user '': expected 1 to 64 letters"),
        (["add", "bob", "--password-stdin"], "", "expected a password on standard input, found nothing"),
    ],
)
def test_mistakes_with_users_are_explained(
    sqlite_url: str, arguments: list[str], typed: str, reason: str
) -> None:
    at = ("--domain", "example.org", "--db", sqlite_url)
    kemi("user", "add", "alice", *at)
    assert reason in kemi("user", *arguments, *at, typed=typed, succeeds=False).output


@pytest.mark.parametrize(
    ("text", "engine", "name", "port"),
    [
        ("sqlite:////var/kemi.sqlite", "sqlite", "/var/kemi.sqlite", 3306),
        ("mysql://kamailio:rw@db/kamailio", "mysql", "kamailio", 3306),
        ("mysql://kamailio@127.0.0.1:3307/kamailio", "mysql", "kamailio", 3307),
    ],
)
def test_urls_are_read_as_kamailio_writes_them(text: str, engine: str, name: str, port: int) -> None:
    url = DatabaseUrl.parse(text)
    assert (url.engine, url.name, url.port) == (engine, name, port)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sqlite:///relative.sqlite", "expected an absolute path"),
        ("sqlite://x", "expected an absolute path"),
        ("mysql://u:secret@host", r"'mysql://u:\*\*\*@host': expected sqlite:////path/to/file or mysql://"),
        ("postgres://u:p@host/db", "expected sqlite:////path/to/file or mysql://user:password@host/name"),
        ("", "database '': expected"),
    ],
)
def test_urls_that_cannot_be_read_are_explained_without_the_password(text: str, reason: str) -> None:
    with pytest.raises(DatabaseError, match=reason) as caught:
        DatabaseUrl.parse(text)
    assert "secret" not in str(caught.value)


def test_a_database_that_does_not_answer_is_named() -> None:
    port = free_port()
    with pytest.raises(DatabaseError, match=rf"mysql://u:\*\*\*@127.0.0.1:{port}/db: cannot connect: "):
        rows(f"mysql://u:p@127.0.0.1:{port}/db", "SELECT 1")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(
        "no database at all, but long enough to be taken for the head of one " * 40
    )
    with pytest.raises(DatabaseError, match=r"text: .*not a database"):
        rows(f"sqlite:///{tmp_path / 'text'}", "SELECT 1")


def test_users_can_be_added_while_somebody_reads(sqlite_url: str, tmp_path: Path) -> None:
    kemi("db", "create", "--db", sqlite_url)
    reader = sqlite3.connect(tmp_path / "kemi.sqlite")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM subscriber").fetchone()
    kemi("user", "add", "alice", "--domain", "example.org", "--db", sqlite_url)
    reader.close()


CFG = """#!KAMAILIO
children=1
auto_aliases=no
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/aarch64-linux-gnu/kamailio/modules/"
loadmodule "{driver}.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "auth.so"
loadmodule "auth_db.so"
modparam("auth_db", "db_url", "{url}")
modparam("auth_db", "calculate_ha1", 0)
modparam("auth_db", "password_column", "ha1")
modparam("auth_db", "password_column_2", "ha1b")
request_route {{
    if (!auth_check("$fd", "subscriber", "0")) {{ auth_challenge("$fd", "0"); exit; }}
    sl_send_reply("200", "OK");
}}
"""


@pytest.fixture
def registrar(url: str, tmp_path: Path) -> Iterator[int]:
    """The port of a Kamailio that authenticates against the database."""
    assert KAMAILIO, "no kamailio on this machine; `make setup` installs it"
    kemi("db", "create", "--db", url)
    cfg, port = tmp_path / "kamailio.cfg", free_port()
    cfg.write_text(CFG.format(url=url, driver=f"db_{DatabaseUrl.parse(url).engine}"))
    command = [KAMAILIO, "-f", str(cfg), "-DD", "-E", "-l", f"udp:127.0.0.1:{port}", "-Y", str(tmp_path)]
    server = Server("kamailio", command, tmp_path, tmp_path / "kamailio.log")
    try:
        wait_for("answer to a REGISTER", lambda: bool(register(port, "", timeout=0.2)), server)
        yield port
    finally:
        server.stop()


def register(port: int, authorization: str, timeout: float = PATIENCE) -> str:
    """Send one REGISTER; the answer, or nothing when nobody is there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.settimeout(timeout)
        phone.connect(("127.0.0.1", port))
        host = "{}:{}".format(*phone.getsockname())
        call = secrets.token_hex(8)
        message = (
            f"REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch=z9hG4bK{call}\r\n"
            f"From: <sip:alice@example.org>;tag={call}\r\nTo: <sip:alice@example.org>\r\nCall-ID: {call}\r\n"
            f"CSeq: 1 REGISTER\r\nMax-Forwards: 70\r\n{authorization}Content-Length: 0\r\n\r\n"
        )
        try:
            phone.send(message.encode())
            return phone.recv(65535).decode()
        except (TimeoutError, ConnectionRefusedError):
            return ""


def credentials(challenge: str, username: str, password: str) -> str:
    """The Authorization header that answers a 401 (RFC 2617, section 3.2.2, without qop)."""
    match = re.search(r'nonce="([^"]+)"', challenge)
    assert match, challenge

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    uri = "sip:example.org"
    response = md5(f"{md5(f'{username}:example.org:{password}')}:{match[1]}:{md5(f'REGISTER:{uri}')}")
    return (
        f'Authorization: Digest username="{username}", realm="example.org", nonce="{match[1]}", '
        f'uri="{uri}", response="{response}"\r\n'
    )


@pytest.mark.parametrize("username", ["alice", "alice@example.org"])
def test_kamailio_accepts_the_user_with_the_right_password_only(
    url: str, registrar: int, username: str
) -> None:
    kemi("user", "add", "alice@example.org", "--db", url, "--password-stdin", typed="secret\n")
    challenge = register(registrar, "")
    assert challenge.startswith("SIP/2.0 401 ")
    assert register(registrar, credentials(challenge, username, "guess")).startswith("SIP/2.0 401 ")
    assert register(registrar, credentials(challenge, username, "secret")).startswith("SIP/2.0 200 ")
