"""`kemi new`: a folder to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from kemi.cli.paths import PACKAGE

SKELETON = PACKAGE / "skeleton"
#: The files of a new folder, in the order in which they are worth reading, and which file of ours each is.
FILES = {
    "routes.py": "routes.py",
    "kemi.yaml": "kemi.yaml",
    "tests/test_routes.py": "tests/test_routes.py",
    "README.md": "README.md",
    # Under their own names these would mean this folder to git and ruff.
    "pyproject.toml": "pyproject",
    ".gitignore": "gitignore",
}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def new(folder: Path) -> None:
    """Make FOLDER with a first rule, settings and a test.

    It may exist; none of the files to be written may.
    """
    taken = [name for name in FILES if (folder / name).exists()]
    if taken:
        raise click.ClickException(
            f"{folder}: already has {', '.join(taken)}; nothing was written. Choose another folder, or take them away"
        )
    for name, source in FILES.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((SKELETON / source).read_bytes())
        except OSError as problem:
            raise click.ClickException(
                f"{problem.filename or path}: cannot be written: {problem.strerror}"
            ) from problem
    click.echo(f"Made {folder} with {', '.join(FILES)}. Next:\n")
    for command, what in _next(folder).items():
        click.echo(f"    {command:<22}  {what}".rstrip())


def _next(folder: Path) -> dict[str, str]:
    """What to type from here on, and what it does."""
    go = {} if folder.resolve() == Path.cwd() else {f"cd {shlex.quote(str(folder))}": ""}
    return go | {
        "kemi check": "find mistakes in rules and settings",
        "python -m pytest": "test the rules on a fake Kamailio (needs kemi[testing])",
        "kemi run": "serve them with a real one; it tells how to plug in a phone",
        "kemi reload": "in another terminal, after an edit: serve the new rules",
    }
