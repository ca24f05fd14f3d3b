"""Kamailio's tables, created and checked from the SQL files that come with the installed Kamailio."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kemi.cli.database import Database, DatabaseError

PREFIXES = (Path("/usr/share/kamailio"), Path("/usr/local/share/kamailio"))
FOLDERS = {"sqlite": "db_sqlite", "mysql": "mysql"}
# What the features of the stock configuration read and write; each is a NAME-create.sql.
SETS = (
    "standard",
    "usrloc",
    "auth_db",
    "acc",
    "alias_db",
    "speeddial",
    "domain",
    "permissions",
    "presence",
    "dialog",
    "dispatcher",
)

# What the stock configuration asks to add for WITH_ACCDB, and kamailio.cfg writes there (acc's parameter db_extra).
ACC_TABLES = ("acc", "missed_calls")
ACC_COLUMNS = {
    "src_user": "VARCHAR(64)",
    "src_domain": "VARCHAR(128)",
    "src_ip": "VARCHAR(64)",
    "dst_ouser": "VARCHAR(64)",
    "dst_user": "VARCHAR(64)",
    "dst_domain": "VARCHAR(128)",
}

#: Kamailio's table of the others' versions, and the version of one that is not finished: no release has that.
VERSIONS = "version"
BEING_MADE = 0

_CREATE_TABLE = re.compile(r"CREATE TABLE [`\"]?(\w+)", re.IGNORECASE)
_VERSION = re.compile(
    r"INSERT INTO [`\"]?version[`\"]?\s.*VALUES\s*\('(\w+)'\s*,\s*'?(\d+)", re.IGNORECASE | re.DOTALL
)


@dataclass
class Table:
    """One table: the version that Kamailio's modules ask for, and the statements that make it."""

    name: str
    version: int = 0
    statements: list[str] = field(default_factory=list)


def read_tables(engine: str, sets: Sequence[str] = SETS, prefixes: Sequence[Path] = PREFIXES) -> list[Table]:
    """The tables of the named sets, as the Kamailio installed in one of the folders defines them for this engine.

    Raises DatabaseError when Kamailio's SQL files or one of the sets are not installed.
    """
    folder = _sql_folder(engine, prefixes)
    tables: list[Table] = []
    for name in sets:
        file = folder / f"{name}-create.sql"
        if not file.exists():
            known = ", ".join(
                sorted(path.name.removesuffix("-create.sql") for path in folder.glob("*-create.sql"))
            )
            raise DatabaseError(f"{file}: no such file; this Kamailio has the sets {known}")
        tables += _read_file(file)
    for table in tables:
        if table.name in ACC_TABLES:
            table.statements += [
                f"ALTER TABLE {table.name} ADD COLUMN {column} {kind} NOT NULL DEFAULT ''"
                for column, kind in ACC_COLUMNS.items()
            ]
    return tables


def create(database: Database, tables: Sequence[Table]) -> list[str]:
    """Create the tables that are missing and return their names. Nothing that exists is changed.

    MySQL knows no transaction for this. So each table is entered in the table ``version`` as being made first, and with
    its version last: what an earlier creation has left unfinished is made anew. Whoever else creates tables waits.
    """
    database.lock_schema()
    present, found = database.tables(), _versions(database)
    made = []
    for table in tables:
        exists = table.name in present
        if _kept_as(table, found) in present and not exists:
            continue  # between two versions: its rows are there
        if not exists or _is_unfinished(database, table, found):
            _make(database, table, exists=exists)
            made.append(table.name)
    return made


def upgrade(database: Database, tables: Sequence[Table]) -> list[str]:
    """Make those anew that are of an older version, copy their rows, and return what was done, a phrase for each.

    Nothing is dropped: the old table stays, under its name with its version behind it (acc_cdrs_v2). The copy and the
    new version are one transaction, so an upgrade that was interrupted is done by the next. Raises DatabaseError where
    the rows do not fit into the new table.
    """
    database.lock_schema()
    present, found = database.tables(), _versions(database)
    done = []
    for table in tables:
        old = _kept_as(table, found)
        if old and (table.name in present or old in present):
            done.append(_upgrade(database, table, old, present))
    return done


def _kept_as(table: Table, found: Mapping[str, int]) -> str:
    """What a table of an older version is called once there is a new one; "" where none is due."""
    version = found.get(table.name, BEING_MADE)
    return f"{table.name}_v{version}" if BEING_MADE < version < table.version else ""


def _upgrade(database: Database, table: Table, old: str, present: set[str]) -> str:
    if old not in present:
        database.rename(table.name, old)
    elif table.name in present:
        if not _is_empty(database, table.name):
            raise DatabaseError(
                f"{database.url}: cannot upgrade table {table.name}: expected no table {old}, where its rows are to be "
                f"kept, found one; see what it is, and rename or drop it"
            )
        database.execute(f"DROP TABLE {table.name}")
    for statement in table.statements:
        database.execute(statement)
    before, after = database.columns(old), database.columns(table.name)
    columns = ", ".join(f"`{column}`" for column in before if column in after)
    try:
        database.execute(f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {old}")
    except DatabaseError as error:
        # All that SQLite has done so far is undone.
        where = table.name if database.url.engine == "sqlite" else old
        raise DatabaseError(
            f"{error.message}; the rows of table {table.name} do not fit into its version {table.version}. They are in "
            f"table {where}: mend them there, and run `kemi db upgrade` again"
        ) from error
    _enter(database, table.name, table.version)
    gone = [column for column in before if column not in after]
    without = f" without the column {', '.join(gone)}" if gone else ""
    return f"upgraded {table.name} to version {table.version}{without} (as it was: {old})"


def _is_unfinished(database: Database, table: Table, found: Mapping[str, int]) -> bool:
    if table.name == VERSIONS:
        return not found
    return found.get(table.name) == BEING_MADE and _is_empty(database, table.name)


def _is_empty(database: Database, name: str) -> bool:
    return not database.rows(f"SELECT 1 FROM {name} LIMIT 1")


def _make(database: Database, table: Table, *, exists: bool) -> None:
    """Anew, if it exists; but for the table of versions, which is whole as soon as it is there."""
    if table.name != VERSIONS:
        _enter(database, table.name, BEING_MADE)
        if exists:
            database.execute(f"DROP TABLE {table.name}")
    if not exists or table.name != VERSIONS:
        for statement in table.statements:
            database.execute(statement)
    _enter(database, table.name, table.version)


def _enter(database: Database, name: str, version: int) -> None:
    database.execute(f"DELETE FROM {VERSIONS} WHERE table_name = ?", name)
    database.execute(f"INSERT INTO {VERSIONS} (table_name, table_version) VALUES (?, ?)", name, version)


def _versions(database: Database) -> dict[str, int]:
    if VERSIONS not in database.tables():
        return {}
    return dict(database.rows(f"SELECT table_name, table_version FROM {VERSIONS}"))


def check(database: Database, tables: Sequence[Table]) -> list[str]:
    """What is wrong, one line each: tables that are missing or of another version than Kamailio expects."""
    present, found = database.tables(), _versions(database)
    faults = []
    for table in tables:
        version, old = found.get(table.name), _kept_as(table, found)
        if table.name not in present and old in present:
            faults.append(f"table {table.name}: its upgrade was interrupted; run `kemi db upgrade`")
        elif table.name not in present:
            faults.append(f"table {table.name}: missing; run `kemi db create`")
        elif version != table.version:
            what = "no version row" if version is None else f"version {version}"
            cure = "run `kemi db upgrade`" if old else "this Kamailio needs a database of its own version"
            faults.append(
                f"table {table.name}: the installed Kamailio expects version {table.version}, found {what}; {cure}"
            )
    return faults


def _sql_folder(engine: str, prefixes: Sequence[Path]) -> Path:
    folders = [prefix / FOLDERS[engine] for prefix in prefixes]
    for folder in folders:
        if folder.is_dir():
            return folder
    package = "kamailio-sqlite-modules" if engine == "sqlite" else "kamailio-mysql-modules"
    looked = " and ".join(str(folder) for folder in folders)
    raise DatabaseError(f"Kamailio's SQL files for {engine} not found in {looked}; apt install {package}")


def _read_file(file: Path) -> list[Table]:
    tables: list[Table] = []
    for statement in _statements(file.read_text()):
        version = _VERSION.match(statement)
        created = _CREATE_TABLE.match(statement)
        if created:
            tables.append(Table(created[1]))
        if not tables or (version and version[1] != tables[-1].name):
            raise DatabaseError(f"{file}: expected a CREATE TABLE first, found: {statement.splitlines()[0]}")
        if version:
            tables[-1].version = int(version[2])
        else:
            tables[-1].statements.append(statement)
    return tables


def _statements(text: str) -> list[str]:
    statements = []
    pending = ""
    for line in text.splitlines():
        pending += f"{line}\n"
        if sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    return statements
