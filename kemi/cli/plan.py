"""`kemi plan`: what is done with requests of a method, as one function."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType

import click

from kemi.check.cfg_reader import Reader
from kemi.cli.paths import product_file
from kemi.stubs.exports import versions

_SWITCH = re.compile(r"\bWITH_\w+")
# The name of one of Kamailio's functions in what is written out.
_OF_KAMAILIO = re.compile(r"\bKSR_(\w+)\b")


@click.command()
@click.argument("method", metavar="METHOD")
@click.option(
    "--settings",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A kemi.yaml. Default: the one in the current folder, if there is one.",
)
@click.option(
    "-A",
    "--define",
    "defines",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="As for kamailio -A. Default: WITH_NAT.",
)
@click.option(
    "--kamailio", type=click.Choice(versions()), default=versions()[0], show_default=True, help="Its version."
)
@click.option("--callbacks", is_flag=True, help="Also what is done with replies and with branches.")
def plan(
    method: str, settings: Path | None, defines: tuple[str, ...], kamailio: str, callbacks: bool
) -> None:
    """Print what the rules do with requests of METHOD, written out as one function, and how they are relayed.

    Kamailio runs these functions in place of the many that they are made of. To see a rule in them tells what it costs:
    what is still a call of a Python function takes longer than most of Kamailio's own functions do.
    """
    given = _defines(defines or ("WITH_NAT",))
    if settings is None and Path("kemi.yaml").exists():
        settings = Path("kemi.yaml")
    if settings is not None:
        given["KEMI_SETTINGS"] = f'"{settings.resolve()}"'
    reader = Reader(given)
    reader.read(product_file("kamailio.cfg"), "kamailio.cfg")
    _print(method, kamailio, reader.defines, callbacks=callbacks)


def _print(method: str, version: str, defines: dict[str, str], *, callbacks: bool) -> None:
    from kemi.testing.ksr import FakeKSR
    from kemi.testing.native_modules import as_modules

    with as_modules(FakeKSR(version, defines=defines)) as module:
        # The library asks for KSR while it is imported.
        from kemi import handler
        from kemi.flat.sources import Sources
        from kemi.request import METHODS
        from kemi.settings_file import SettingsError

        if method not in METHODS:
            raise click.UsageError(f"METHOD: {_not_found(method, METHODS)}")
        try:
            built = handler.build()
        except SettingsError as problem:
            raise click.ClickException(str(problem)) from None
        names = _names(module)
        _, handle = built._plans.of(method)
        parts = [
            handle,
            *([handle.__globals__["relay"]] if "relay" in getattr(handle, "__globals__", ()) else []),
        ]
        if callbacks:
            built._callbacks.make_all(Sources())
            parts += built._callbacks.made.values()
        click.echo("\n\n".join(_text(part, names) for part in parts))


def _names(module: ModuleType) -> dict[str, str]:
    """How Kamailio's functions are called in what is written out, and as everybody knows them."""
    families = {name: vars(found) for name, found in vars(module).items() if isinstance(found, ModuleType)}
    own = {name: name for name in vars(module)}
    return own | {
        f"{family}_{name}": f"{family}.{name}" for family, part in families.items() for name in part
    }


def _text(function: Callable[..., object], names: dict[str, str]) -> str:
    loader = getattr(function, "__globals__", {}).get("__loader__")
    source = getattr(loader, "get_source", None)
    if source is None:
        raise click.ClickException("it could not be written out; Kamailio's log says why when it starts")
    return _OF_KAMAILIO.sub(
        lambda found: f"KSR.{names[found[1]]}" if found[1] in names else found[0], source("")
    )


def _defines(given: Sequence[str]) -> dict[str, str]:
    defines = {}
    known = set(_SWITCH.findall(product_file("kamailio.cfg").read_text(encoding="utf-8")))
    for one in given:
        name, _, value = one.partition("=")
        if name.startswith("WITH_") and name not in known:
            raise click.UsageError(f"--define: {_not_found(name, known)}")
        defines[name] = value
    return defines


def _not_found(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name.upper(), names, 1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
    return f"found {name!r}; {hint}"
