"""`kemi db`: the tables that Kamailio needs."""

from __future__ import annotations

from pathlib import Path

import click

from kemi.cli.database import DatabaseUrl, connect, default_url
from kemi.cli.schema import SETS, check, create, read_tables

url_option = click.option(
    "--db",
    "url",
    envvar="KEMI_DB",
    default=default_url,
    help="DBURL as in kamailio.cfg: sqlite:////path/to/file or mysql://user:password@host/name.",
)


def prepare(url: str, sets: tuple[str, ...] = SETS) -> list[str]:
    """Create what is missing, then check; return the created tables. Raises when the check finds a fault."""
    tables = read_tables(DatabaseUrl.parse(url).engine, sets)
    with connect(url) as database:
        created = create(database, tables)
        faults = check(database, tables)
    _refuse(url, faults)
    return created


def _refuse(url: str, faults: list[str]) -> None:
    if faults:
        listed = "\n  ".join(faults)
        raise click.ClickException(
            f"{DatabaseUrl.parse(url)} does not fit the installed Kamailio:\n  {listed}"
        )


@click.group()
def db() -> None:
    """Create and check the tables that Kamailio needs."""


@db.command("create")
@url_option
@click.option("--with", "extra", multiple=True, metavar="SET", help="Another NAME-create.sql of Kamailio's.")
def create_command(url: str, extra: tuple[str, ...]) -> None:
    """Create the tables that are missing. Nothing existing is changed."""
    created = prepare(url, SETS + tuple(name for name in extra if name not in SETS))
    what = f"created {', '.join(created)}" if created else "nothing to create"
    click.echo(f"{DatabaseUrl.parse(url)}: {what}")


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
