"""`kemi db`: the tables that Kamailio needs."""

from __future__ import annotations

from pathlib import Path

import click

from kemi.cli.database import DatabaseUrl, connect, default_url
from kemi.cli.schema import SETS, check, create, read_tables, upgrade

url_option = click.option(
    "--db",
    "url",
    envvar="KEMI_DB",
    default=default_url,
    help="DBURL as in kamailio.cfg: sqlite:////path/to/file or mysql://user:password@host/name.",
)


def prepare(url: str, sets: tuple[str, ...] = SETS, *, upgrades: bool = False) -> str:
    """Create what is missing, upgrade what is older if that is wanted, then check; what was done, for people.

    Raises ClickException when the check finds a fault.
    """
    tables = read_tables(DatabaseUrl.parse(url).engine, sets)
    with connect(url) as database:
        done = upgrade(database, tables) if upgrades else []
        if created := create(database, tables):
            done.append(f"created {', '.join(created)}")
        faults = check(database, tables)
    _refuse(url, faults)
    return "; ".join(done) or "all tables are there"


def _refuse(url: str, faults: list[str]) -> None:
    if faults:
        listed = "\n  ".join(faults)
        raise click.ClickException(
            f"{DatabaseUrl.parse(url)} does not fit the installed Kamailio:\n  {listed}"
        )


@click.group()
def db() -> None:
    """Create, upgrade and check the tables that Kamailio needs."""


_extra_option = click.option(
    "--with", "extra", multiple=True, metavar="SET", help="Another NAME-create.sql of Kamailio's."
)


@db.command("create")
@url_option
@_extra_option
def create_command(url: str, extra: tuple[str, ...]) -> None:
    """Create the tables that are missing. Nothing existing is changed."""
    _prepare(url, extra, upgrades=False)


@db.command("upgrade")
@url_option
@_extra_option
def upgrade_command(url: str, extra: tuple[str, ...]) -> None:
    """Make tables of an older version anew, and create those that are missing.

    The rows are copied. The old table stays as well, under its name with its version: acc_cdrs_v2.
    """
    _prepare(url, extra, upgrades=True)


def _prepare(url: str, extra: tuple[str, ...], *, upgrades: bool) -> None:
    sets = SETS + tuple(name for name in extra if name not in SETS)
    click.echo(f"{DatabaseUrl.parse(url)}: {prepare(url, sets, upgrades=upgrades)}")


@db.command("check")
@url_option
def check_command(url: str) -> None:
    """Compare the tables with those the installed Kamailio expects."""
    parsed = DatabaseUrl.parse(url)
    tables = read_tables(parsed.engine)
    if parsed.engine == "sqlite" and not Path(parsed.name).exists():
        raise click.ClickException(f"{parsed}: no such file; run `kemi db create`")
    with connect(url) as database:
        faults = check(database, tables)
    _refuse(url, faults)
    click.echo(f"{parsed}: {len(tables)} tables, all of the version that the installed Kamailio expects")
