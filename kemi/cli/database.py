"""A connection to the database that Kamailio uses, named by Kamailio's own DBURL."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from kemi.cli.paths import state_folder

_MYSQL = re.compile(
    r"mysql://(?P<user>[^:@/]+)(:(?P<password>[^@/]*))?@(?P<host>[^:@/]+)(:(?P<port>\d+))?/(?P<name>[^/@]+)"
)


class DatabaseError(click.ClickException):
    """The database cannot be used. The text says which one, why, and what to do."""


@dataclass(frozen=True)
class DatabaseUrl:
    """A parsed DBURL. `name` is the file of SQLite, the schema of MySQL."""

    engine: Literal["sqlite", "mysql"]
    name: str
    host: str = ""
    port: int = 3306
    user: str = ""
    password: str = ""

    @classmethod
    def parse(cls, text: str) -> DatabaseUrl:
        """Read `sqlite:////absolute/path` or `mysql://user:password@host[:port]/name`; else DatabaseError."""
        if text.startswith("sqlite://"):
            path = text.removeprefix("sqlite:///")
            if path == text or not path.startswith("/"):
                raise DatabaseError(
                    f"database '{text}': expected an absolute path, sqlite:////path/to/file (four slashes): "
                    "a relative one would depend on the folder Kamailio is started in"
                )
            return cls("sqlite", path)
        match = _MYSQL.fullmatch(text)
        if match:
            port = int(match["port"] or 3306)
            return cls("mysql", match["name"], match["host"], port, match["user"], match["password"] or "")
        hidden = re.sub(r":[^:@/]*@", ":***@", text)
        raise DatabaseError(
            f"database '{hidden}': expected sqlite:////path/to/file or mysql://user:password@host/name"
        )

    def __str__(self) -> str:
        """For people: the password is not shown."""
        if self.engine == "sqlite":
            return f"sqlite:///{self.name}"
        return f"mysql://{self.user}:***@{self.host}:{self.port}/{self.name}"


def default_url() -> str:
    """The SQLite file that `kemi run` uses."""
    return f"sqlite:///{state_folder() / 'kemi.sqlite'}"


class Database:
    """One open connection. Statements are written with `?` for every engine."""

    def __init__(self, url: DatabaseUrl, connection: Any, errors: type[Exception]) -> None:
        self.url = url
        self._connection = connection
        self._errors = errors

    def execute(self, statement: str, *values: object) -> int:
        """Run one statement and return the number of rows it changed."""
        return int(self._run(statement, values).rowcount)

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._run(statement, values).fetchall()]

    def tables(self) -> set[str]:
        if self.url.engine == "sqlite":
            found = self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
        else:
            found = self.rows(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = database()"
            )
        return {str(row[0]) for row in found}

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns, in their order."""
        if self.url.engine == "sqlite":
            found = self.rows("SELECT name FROM pragma_table_info(?)", table)
        else:
            found = self.rows(
                "SELECT column_name FROM information_schema.columns "
                "WHERE table_schema = database() AND table_name = ? ORDER BY ordinal_position",
                table,
            )
        return [str(row[0]) for row in found]

    def rename(self, table: str, name: str) -> None:
        """Give a table another name."""
        self.execute(f"ALTER TABLE {table} RENAME TO {name}")
        if self.url.engine == "sqlite":
            # There the names of indexes are the whole database's, and a table of the old name has the same.
            for (index,) in self.rows(
                "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
                name,
            ):
                self.execute(f"DROP INDEX {index}")

    def lock_schema(self) -> None:
        """Until this connection ends nobody else who asks for this gets on. Raises DatabaseError after a minute.

        A transaction of SQLite's is such a lock.
        """
        if self.url.engine == "mysql" and self.rows(
            "SELECT GET_LOCK(CONCAT('kemi.', LEFT(DATABASE(), 50)), 60)"
        ) != [(1,)]:
            raise DatabaseError(f"{self.url}: somebody else has been creating tables for a minute; try again")

    def commit(self) -> None:
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()

    def _run(self, statement: str, values: tuple[object, ...]) -> Any:
        cursor = self._connection.cursor()
        try:
            if self.url.engine == "mysql":
                # Without values PyMySQL sends the text as it stands, per cent signs included.
                cursor.execute(statement.replace("?", "%s") if values else statement, values or None)
            else:
                cursor.execute(statement, values)
        except self._errors as error:
            cursor.close()  # kept with the exception, it would keep SQLite's lock
            raise DatabaseError(
                f"{self.url}: {error} (while running: {statement.split('(')[0].strip()})"
            ) from error
        return cursor


@contextmanager
def connect(text: str) -> Iterator[Database]:
    """Open the database of a DBURL; one transaction, kept when the block ends without an exception.

    A missing SQLite file is created, readable by owner and group only: HA1 values are as good as passwords.
    Raises DatabaseError when the URL is wrong or the database does not answer.
    """
    url = DatabaseUrl.parse(text)
    database = _open_sqlite(url) if url.engine == "sqlite" else _open_mysql(url)
    try:
        yield database
        database.commit()
    finally:
        database.close()  # what was not committed is rolled back


def _open_sqlite(url: DatabaseUrl) -> Database:
    path = Path(url.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o640))
        connection = sqlite3.connect(path, timeout=10, isolation_level=None)
        # With a write-ahead log a user can be added while Kamailio's processes read and write.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
    except (OSError, sqlite3.Error) as error:
        raise DatabaseError(f"{url}: cannot open: {error}") from error
    return Database(url, connection, sqlite3.Error)


def _open_mysql(url: DatabaseUrl) -> Database:
    try:
        import pymysql
    except ImportError as error:
        raise DatabaseError(f"{url}: needs the Python package PyMySQL; pip install 'kemi[mysql]'") from error
    try:
        connection = pymysql.connect(
            host=url.host,
            port=url.port,
            user=url.user,
            password=url.password,
            database=url.name,
            connect_timeout=10,
        )
    except (pymysql.err.OperationalError, RuntimeError) as error:
        # RuntimeError: the server asks for a kind of login for which a package is missing, and the text names it.
        raise DatabaseError(f"{url}: cannot connect: {error.args[-1]}") from error
    return Database(url, connection, pymysql.err.MySQLError)
