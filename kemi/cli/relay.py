"""`kemi relay`: the media relay's launcher, found in a clone as well as installed."""

from __future__ import annotations

import os
import sys

import click

from kemi.cli.paths import product_file


def relay_command(control: str, address: str, ports: str, *options: str) -> list[str]:
    """The command that starts a relay with its control socket, the address of its media and their ports."""
    where = (f"--control={control}", f"--media-address={address}", f"--ports={ports}")
    return _launcher(*where, *options)


def _launcher(*arguments: str) -> list[str]:
    return [sys.executable, str(product_file("rtpproxy")), *arguments]


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def relay(arguments: tuple[str, ...]) -> None:
    """Run the media relay; `kemi relay --help` lists its options."""
    os.execv(sys.executable, _launcher(*arguments))
