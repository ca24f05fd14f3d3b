"""`kemi relay`: the media relay's launcher, found in a clone as well as installed."""

from __future__ import annotations

import os
import sys

import click

from kemi.cli.paths import product_file


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def relay(arguments: tuple[str, ...]) -> None:
    """Run the media relay; `kemi relay --help` lists its options."""
    os.execv(sys.executable, [sys.executable, str(product_file("rtpproxy")), *arguments])
