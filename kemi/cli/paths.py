"""Where the product's own files are, in a clone as well as installed, and the system's own programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

import kemi

PACKAGE = Path(kemi.__file__).resolve().parent
BOOT_FILE = PACKAGE / "boot" / "kemi_boot.py"
_SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"


def kamailio_environment() -> dict[str, str]:
    """What Kamailio needs in its environment: the system's programs first on PATH.

    The Python inside Kamailio takes its packages from where the first python3 on PATH has them. A virtual environment
    or a Python of pyenv there hides the system's PyYAML, or shows it packages of another version of Python.
    """
    return {"PATH": f"{_SYSTEM}:{os.environ.get('PATH', '')}"}


def product_file(name: str) -> Path:
    """`kamailio.cfg` or `rtpproxy`: beside the package in a clone, under share/kemi when installed."""
    places = [PACKAGE.parent / name, Path(sys.prefix) / "share" / "kemi" / name]
    for place in places:
        if place.exists():
            return place
    searched = " and ".join(str(place) for place in places)
    raise click.ClickException(
        f"{name} not found; looked at {searched}. Clone the repository or name the file."
    )


def state_folder() -> Path:
    """Database, logs and sockets of a local run: `var` in the clone, else in the current folder."""
    clone = PACKAGE.parent
    return (clone if (clone / "pyproject.toml").exists() else Path.cwd()) / "var"
