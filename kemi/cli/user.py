"""`kemi user`: who may register and call."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from kemi.cli import rpc
from kemi.cli.database import connect
from kemi.cli.db import prepare, url_option
from kemi.cli.network import outgoing_address
from kemi.cli.subscribers import Subscribers, new_password
from kemi.subscriber import CACHE, cache_key

domain_option = click.option(
    "--domain",
    envvar="KEMI_DOMAIN",
    default=outgoing_address,
    help="SIP domain and digest realm. Default: this machine's address, as `kemi run` has it.",
)
password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, one line."
)


@click.group()
def user() -> None:
    """Add, list and remove those who may register and call."""


@user.command()
@click.argument("name")
@domain_option
@url_option
@password_option
def add(name: str, domain: str, url: str, password_stdin: bool) -> None:
    """Add NAME, or NAME@DOMAIN. Without a password one is made and shown once."""
    _store(Subscribers.add, "added", *_split(name, domain), url, password_stdin)


@user.command()
@click.argument("name")
@domain_option
@url_option
@password_option
@rpc.socket_option
def passwd(name: str, domain: str, url: str, password_stdin: bool, path: Path | None) -> None:
    """Change the password of NAME. The server that runs here forgets the old one (WITH_AUTH_CACHE)."""
    name, domain = _split(name, domain)
    _store(Subscribers.change_password, "changed", name, domain, url, password_stdin)
    _forget(name, domain, path)


@user.command()
@click.argument("name")
@domain_option
@url_option
@rpc.socket_option
def remove(name: str, domain: str, url: str, path: Path | None) -> None:
    """Remove NAME. The server that runs here forgets the password; registrations run out by themselves."""
    name, domain = _split(name, domain)
    prepare(url)
    with connect(url) as database:
        Subscribers(database).remove(name, domain)
    click.echo(f"removed {name}@{domain}")
    _forget(name, domain, path)


@user.command("list")
@url_option
def list_command(url: str) -> None:
    """List everyone, one a line."""
    prepare(url)
    with connect(url) as database:
        for name, domain in Subscribers(database).all():
            click.echo(f"{name}@{domain}")


def _store(
    store: Callable[[Subscribers, str, str, str], None],
    done: str,
    name: str,
    domain: str,
    url: str,
    password_stdin: bool,
) -> None:
    """Store a password, typed or made, and say what was `done`."""
    prepare(url)
    password, made = _password(password_stdin)
    with connect(url) as database:
        store(Subscribers(database), name, domain, password)
    click.echo(f"{done} {name}@{domain}" + (f", password {password} (shown only now)" if made else ""))


def _forget(name: str, domain: str, path: Path | None) -> None:
    """Have the server that runs here forget a password that it keeps in memory, if it does (WITH_AUTH_CACHE).

    Raises RpcError where `path` names a server that does not answer.
    """
    try:
        rpc.call(path or rpc.default_socket(), "htable.delete", CACHE, cache_key(name, domain))
    except rpc.RefusedError:
        # It keeps no passwords, or none of this user.
        return
    except rpc.RpcError:
        if path is not None:
            raise
    else:
        click.echo("The server has forgotten the old password.")


def _split(name: str, domain: str) -> tuple[str, str]:
    user_part, at, domain_part = name.partition("@")
    return (user_part, domain_part) if at else (name, domain)


def _password(from_stdin: bool) -> tuple[str, bool]:
    """The password, and whether it was made here."""
    if from_stdin:
        typed = sys.stdin.readline().rstrip("\n")
        if not typed:
            raise click.ClickException(
                "--password-stdin: expected a password on standard input, found nothing"
            )
        return typed, False
    typed = ""
    if sys.stdin.isatty():
        typed = click.prompt(
            "Password (empty: make one)",
            hide_input=True,
            confirmation_prompt=True,
            default="",
            show_default=False,
        )
    return (typed, False) if typed else (new_password(), True)
