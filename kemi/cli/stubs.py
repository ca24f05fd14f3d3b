"""`kemi stubs`: types and meaning of the KSR object, for mypy and for editors."""

from __future__ import annotations

from pathlib import Path

import click

from kemi.cli.rpc import default_socket
from kemi.stubs.exports import exports, versions
from kemi.stubs.generate import MARK, of_exports, of_versions
from kemi.stubs.reference import pages
from kemi.stubs.server import exports_of


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("typings"))
@click.option("--kamailio", type=click.Choice(versions()), help="Only what that version has.")
@click.option(
    "--from-server", is_flag=True, help="Only what a running Kamailio has, with the modules it has loaded."
)
@click.option("--reference", is_flag=True, help="Pages to read, in Markdown, instead of types.")
@click.option("--socket", type=click.Path(path_type=Path), help="That Kamailio's JSON-RPC datagram socket.")
def stubs(
    folder: Path, kamailio: str | None, from_server: bool, reference: bool, socket: Path | None
) -> None:
    """Write type stubs for the KSR object into FOLDER (typings).

    They come with the package already, for all versions in one: this is for an editor that does not find them
    there, or to have those of one version or of one server only.
    """
    if kamailio and from_server:
        raise click.UsageError("expected one of --kamailio and --from-server, found both")
    if reference and (kamailio or from_server):
        raise click.UsageError("expected --reference alone: its pages say which versions have a function")
    try:
        _generate(folder, kamailio, from_server, reference, socket)
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or folder}: cannot be written: {error.strerror}; name another FOLDER"
        ) from None


def _generate(
    folder: Path, kamailio: str | None, from_server: bool, reference: bool, socket: Path | None
) -> None:
    if reference:
        texts = pages()
        _write(folder, texts)
        click.echo(f"{folder}: {len(texts)} pages, begin with index.md")
        return
    if from_server:
        path = socket or default_socket()
        generated, origin = of_exports(exports_of(path)), f"the server at {path}"
    elif kamailio:
        generated, origin = of_exports(exports(kamailio).values()), f"Kamailio {kamailio}"
    else:
        generated, origin = of_versions(), f"Kamailio {versions()[0]} to {versions()[-1]}"
    _remove_stale(folder, generated)
    _write(folder, generated)
    click.echo(
        f"{folder / 'KSR'}: {len(generated)} files for {origin}; mypy finds them with mypy_path = {folder}"
    )


def _write(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def _remove_stale(folder: Path, generated: dict[str, str]) -> None:
    for stale in (folder / "KSR").glob("*.pyi"):
        if f"KSR/{stale.name}" not in generated and MARK in stale.read_text(encoding="utf-8"):
            stale.unlink()
