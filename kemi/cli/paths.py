"""Where the product's own files are, in a clone as well as installed, and the system's own programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
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
    """`kamailio.cfg` or `rtpproxy`: beside the package in a clone, else where the installer has put share/kemi."""
    place = next((folder / name for folder in _shared_folders() if (folder / name).exists()), None)
    if place is None:
        raise click.ClickException(
            f"{name}: not found beside {PACKAGE}, and no installed package kemi has it; "
            "install kemi with pip, clone its repository, or name the file"
        )
    return place


def _shared_folders() -> Iterator[Path]:
    yield PACKAGE.parent
    # Below the folder of `pip install --target`, about which pip's record is wrong.
    yield PACKAGE.parent / "share" / "kemi"
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files("kemi") or ():
            if file.match("share/kemi/kamailio.cfg"):
                yield Path(os.path.abspath(file.locate())).parent


def state_folder() -> Path:
    """Database, logs and sockets of a local run: `var` in the clone, else in the current folder."""
    clone = PACKAGE.parent
    return (clone if (clone / "pyproject.toml").exists() else Path.cwd()) / "var"
