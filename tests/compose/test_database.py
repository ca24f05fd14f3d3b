"""The schema step, which every start runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.compose.stack import Stack


@pytest.fixture(autouse=True)
def served_afterwards(stack: Stack) -> Iterator[None]:
    yield
    stack.make("up")


def test_a_second_start_finds_all_tables_there(stack: Stack) -> None:
    stack.compose("restart", "kamailio")
    log = stack.wait_for_log("kamailio", "all tables are there")
    assert "created" in log  # by the first start
    assert "mysql://kamailio:***@database:3306/kamailio" in log
    stack.wait_healthy("kamailio")


def test_the_tables_of_a_newer_kamailio_are_named_and_nothing_is_dropped(stack: Stack) -> None:
    ((version,),) = stack.sql("SELECT table_version FROM version WHERE table_name = 'location'")
    tables = stack.sql("SHOW TABLES")
    users = stack.sql("SELECT COUNT(*) FROM subscriber")
    stack.sql("UPDATE version SET table_version = 99 WHERE table_name = 'location'")
    stack.compose("restart", "kamailio")
    expected = f"table location: the installed Kamailio expects version {version}, found version 99"
    stack.wait_for_log("kamailio", expected)
    assert stack.sql("SHOW TABLES") == tables
    assert stack.sql("SELECT COUNT(*) FROM subscriber") == users
    stack.sql(f"UPDATE version SET table_version = {version} WHERE table_name = 'location'")
    stack.wait_healthy("kamailio")


def test_the_tables_of_an_older_kamailio_are_upgraded_and_kept(stack: Stack) -> None:
    """As from Kamailio 6.0 to 6.1."""
    ((version,),) = stack.sql("SELECT table_version FROM version WHERE table_name = 'acc_cdrs'")
    stack.sql("INSERT INTO acc_cdrs (start_time, end_time, duration) VALUES (NOW(), NOW(), 1.5)")
    stack.sql("UPDATE version SET table_version = 1 WHERE table_name = 'acc_cdrs'")
    stack.compose("restart", "kamailio")
    stack.wait_for_log("kamailio", f"upgraded acc_cdrs to version {version} (as it was: acc_cdrs_v1)")
    stack.wait_healthy("kamailio")
    for table in ("acc_cdrs", "acc_cdrs_v1"):
        assert stack.sql(f"SELECT COUNT(*) FROM {table} WHERE duration = 1.5") == [["1"]]
    stack.sql("DROP TABLE acc_cdrs_v1")


def test_a_table_that_is_missing_is_made_at_the_next_start(stack: Stack) -> None:
    stack.sql("DROP TABLE speed_dial")
    stack.compose("restart", "kamailio")
    stack.wait_for_log("kamailio", "created speed_dial")
    stack.wait_healthy("kamailio")


def test_a_database_that_is_not_ready_is_waited_for_and_named(stack: Stack) -> None:
    stack.compose("stop", "kamailio", "database")
    # Without compose, which would start the database first.
    stack.engine.output(["docker", "start", stack.container("kamailio")])
    stack.wait_for_log("kamailio", "waiting for the database: mysql://kamailio:***@database:3306/kamailio")
    stack.engine.output(["docker", "start", stack.container("database")])
    stack.wait_healthy("kamailio")


def test_a_password_that_the_database_refuses_is_named(stack: Stack) -> None:
    right = stack.env["DB_PASSWORD"]
    stack.compose("stop", "kamailio")
    secret = stack.folder / "var/secrets/db_password"
    secret.unlink()
    secret.write_text("wrong")
    stack.engine.output(["docker", "start", stack.container("kamailio")])
    stack.wait_for_log("kamailio", "Access denied for user 'kamailio'")
    assert stack.env["DB_PASSWORD"] == right


def test_make_up_has_the_database_change_its_passwords(stack: Stack) -> None:
    """They are read when the database is made, and never again."""
    stack.make("down")
    users = stack_users(stack)
    stack.set_env(DB_PASSWORD="another!one", DB_ROOT_PASSWORD="and-another")
    stack.make("up")
    stack.address_clients()  # its networks are new
    assert stack_users(stack) == users
    assert "all tables are there" in stack.logs("kamailio")


def stack_users(stack: Stack) -> list[list[str]]:
    """Who is in the table subscriber, of a database that runs or has to be started for that."""
    stack.compose("up", "--detach", "--wait", "database")
    return stack.sql("SELECT username FROM subscriber ORDER BY 1")


def test_a_database_whose_passwords_are_lost_is_named(stack: Stack) -> None:
    secrets = stack.folder / "var" / "secrets"
    away = secrets.rename(stack.folder / "var" / "away")
    said = stack.make_fails("up")
    assert "the volume kemi_database has a database whose passwords are not known here" in said
    assert "`docker volume rm kemi_database`" in said
    shutil.rmtree(secrets)
    away.rename(secrets)
    stack.wait_healthy("kamailio")
