"""`kemi check`: mistakes in routes, settings and kamailio.cfg, before Kamailio finds them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from kemi.check import Finding, NothingToCheckError
from kemi.check import check as find
from kemi.check.codes import CODES
from kemi.cli.paths import product_file
from kemi.stubs.exports import versions


def _explain(context: click.Context, _option: click.Parameter, code: str | None) -> None:
    """Print the section of docs/checks.md about a code, and end."""
    if code is None or context.resilient_parsing:
        return
    text = product_file("docs/checks.md").read_text(encoding="utf-8")
    _, _, section = text.partition(f"\n### {code}: ")
    click.echo(f"{code}: {re.split(r'^##', section, maxsplit=1, flags=re.MULTILINE)[0].strip()}")
    context.exit()


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--kamailio",
    type=click.Choice(versions()),
    help="Version to check for. Default: the installed one.",
)
@click.option("-A", "--define", "defines", multiple=True, metavar="NAME[=VALUE]", help="As for kamailio -A.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--explain",
    type=click.Choice(list(CODES), case_sensitive=False),
    metavar="CODE",
    is_eager=True,
    expose_value=False,
    callback=_explain,
    help="What a code means, such as K401; nothing is checked.",
)
def check(paths: tuple[Path, ...], kamailio: str | None, defines: tuple[str, ...], form: str) -> None:
    """Find mistakes in routes (.py), settings (.yaml) and kamailio.cfg (.cfg) without running anything.

    PATHS are files, or folders with kemi.yaml, kamailio.cfg or Python files; without any, the current folder. Any
    Python script for KEMI will do. A comment `# kemi: ignore[K702]` silences a code for its line.

    Exit code 0: no errors (warnings at most); 1: errors; 2: nothing could be checked.
    """
    try:
        found = find(paths or (Path(),), kamailio=kamailio, defines=defines)
    except NothingToCheckError as problem:
        raise click.UsageError(str(problem)) from None
    errors = [finding for finding in found if finding.severity == "error"]
    if form == "json":
        click.echo(json.dumps([finding.as_json() for finding in found], indent=2))
    else:
        for finding in found:
            click.echo(finding.as_text())
        click.echo(_summary(found, errors))
    raise SystemExit(1 if errors else 0)


def require_correct(settings: Path, refusal: str, kamailio: str | None = None) -> None:
    """Print what is wrong with settings and the routes that they name. Raises ClickException(refusal) for errors."""
    try:
        found = find([settings], kamailio=kamailio)
    except NothingToCheckError as problem:
        click.echo(f"not checked: {problem}", err=True)
        return
    for finding in found:
        click.echo(finding.as_text(), err=True)
    if any(finding.severity == "error" for finding in found):
        raise click.ClickException(refusal)


def _summary(found: list[Finding], errors: list[Finding]) -> str:
    if not found:
        return "No mistakes found."
    warnings = len(found) - len(errors)
    return f"{_count(len(errors), 'error')}, {_count(warnings, 'warning')}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
