"""Who is compared: Kamailio's own configuration, this library, and the Python and Lua examples that Kamailio ships.

All run the same binary with the same modules, parameters and defines. What has to be edited in their files for that
is below, and nothing else is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kemi.cli.paths import PACKAGE
from tests.parity.root import MACHINE, Root

EXAMPLES = Path("/usr/share/doc/kamailio/examples/kemi")
#: Where the routes of the stock file begin; what stands before them is its static half.
_ROUTES = "####### Routing Logic ########"
# The load comes from one address. At its limit (16 requests in 2 s) pike would ban it; the check itself stays. Pike
# keeps the limit in 16 bits, and stops counting one below this.
_PIKE_LIMIT = 65535


@dataclass(frozen=True)
class Setup:
    """What all contestants run with."""

    defines: tuple[str, ...] = ("WITH_NAT", "WITH_ANTIFLOOD")
    #: usrloc's db_mode; 0 is memory only.
    db_mode: int = 0
    #: Kamailio's DBURL, "" without a database.
    database: str = ""
    #: The control socket of the media relay.
    relay: str = "udp:127.0.0.1:9"
    #: Kamailio's memory manager: "qm", its default, or "tlsf".
    allocator: str = "qm"
    workers: int = 1
    #: Seconds between two keepalives to a contact; 0 for none.
    natping: int = 0
    #: Private memory of each process (-M), in megabytes; only what is used becomes real memory.
    private_memory: int = 16
    #: Use each page of shared memory once at the start, as a server that has run for a while has: what the kernel does
    #: for pages that are new is no part of what a request costs.
    touch_memory: bool = False
    #: Where Kamailio is installed.
    root: Root = MACHINE
    #: The clone whose routes and kamailio.cfg are measured.
    source: Path = PACKAGE.parent

    @property
    def with_auth(self) -> bool:
        return "WITH_AUTH" in self.defines

    @property
    def all_defines(self) -> tuple[str, ...]:
        """With those that the database needs."""
        defines = self.defines
        if self.db_mode:
            defines += ("WITH_USRLOCDB",)
        if self.database.startswith("mysql:"):
            defines += ("WITH_MYSQL",)
        return defines


@dataclass(frozen=True)
class Configuration:
    """A file ready to run, with its own defines, values and settings."""

    cfg: Path
    defines: tuple[str, ...] = ()
    values: tuple[tuple[str, str | int], ...] = ()
    settings: Path | None = None


class CannotRunError(Exception):
    """A contestant cannot run with a setup on this machine; the text says why."""


def stock(setup: Setup, folder: Path) -> Configuration:
    """Kamailio's own file."""
    return _stock_like(setup, folder, _stock_text(setup))


def kemi(setup: Setup, folder: Path) -> Configuration:
    """This library as shipped; only Server and User-Agent are Kamailio's, so that answers are as long as others'."""
    return _ours(setup, folder, "")


def kemi_stock(setup: Setup, folder: Path) -> Configuration:
    """This library told to do what the stock file does and no more."""
    return _ours(setup, folder, "profile: stock\n")


def python_example(setup: Setup, folder: Path) -> Configuration:
    """Kamailio's Python example below the stock file's static half."""
    text = (_example("kamailio-basic-kemi-python.py")).read_text()
    if not setup.with_auth:
        # The example knows no defines: it would call modules that are not loaded. Instead, what the stock file does.
        text = _replaced(
            text,
            "        if self.ksr_route_auth(msg)==-255 :\n            return 1\n",
            "        if not KSR.is_myself_ruri() :\n"
            '            KSR.sl.sl_send_reply(403,"Not relaying")\n            return 1\n',
        )
    script = folder / "routes" / "example.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(text)
    return _stock_like(setup, folder, _with_engine(setup, "app_python3", "python", script))


def lua_example(setup: Setup, folder: Path) -> Configuration:
    """Kamailio's Lua example below the stock file's static half."""
    modules = setup.root.path / "usr/lib"
    if not any(modules.glob("*/kamailio/modules/app_lua.so")):
        raise CannotRunError("module app_lua is not installed (Debian package kamailio-lua-modules)")
    script = folder / "example.lua"
    script.write_text(_example("kamailio-basic-kemi-lua.lua").read_text())
    return _stock_like(setup, folder, _with_engine(setup, "app_lua", "lua", script))


Make = Callable[[Setup, Path], Configuration]

#: The reference of all ratios comes first.
CONTESTANTS: dict[str, Make] = {
    "stock": stock,
    "kemi": kemi,
    "kemi-stock": kemi_stock,
    "python": python_example,
    "lua": lua_example,
}


def _stock_text(setup: Setup) -> str:
    edits = {
        r"^children=\d+": f"children={setup.workers}{_memory(setup)}",
        r'"natping_interval", *\d+': f'"natping_interval", {setup.natping}',
        r'"udp:127\.0\.0\.1:7722"': f'"{setup.relay}"',
        r'("reqs_density_per_unit", *)\d+': rf"\g<1>{_PIKE_LIMIT}",
        r'("usrloc", *"db_mode", *)\d+': rf"\g<1>{setup.db_mode or 1}",
    }
    if not setup.database.startswith("mysql:"):
        edits[r'"db_mysql\.so"'] = '"db_sqlite.so"'
    return _edited(setup.root.stock, edits)


def _memory(setup: Setup) -> str:
    return "\nshm_force_alloc=yes" if setup.touch_memory else ""


def _with_engine(setup: Setup, module: str, engine: str, script: Path) -> str:
    """The static half of the stock file, and a script in place of its routes."""
    static, found, _ = _stock_text(setup).partition(_ROUTES)
    if not found:
        raise ValueError(f"{setup.root.stock}: expected the line {_ROUTES!r}, found none")
    # Up to Kamailio 5.7 the Python example breaks without this line, as it has no ksr_onsend_route.
    return (
        f'{static}\nkemi.onsend_route_callback="none"\nloadmodule "kemix.so"\nloadmodule "{module}.so"\n'
        'modparam("usrloc", "preload", "location")\n'
        f'modparam("{module}", "load", "{script}")\ncfgengine "{engine}"\n'
    )


def _stock_like(setup: Setup, folder: Path, text: str) -> Configuration:
    cfg = folder / "kamailio.cfg"
    cfg.write_text(text)
    # The stock file loads a database with WITH_MYSQL only; for SQLite the module's name in it was replaced.
    defines = ("WITH_MYSQL",) if setup.database and "WITH_MYSQL" not in setup.all_defines else ()
    return Configuration(cfg, defines)


def _ours(setup: Setup, folder: Path, settings: str) -> Configuration:
    edits = {
        r'("reqs_density_per_unit", *)\d+': rf"\g<1>{_PIKE_LIMIT}",
        r"^(children=.*)": rf"\g<1>{_memory(setup)}",
    }
    cfg = folder / "kamailio.cfg"
    cfg.write_text(_edited(setup.source / "kamailio.cfg", edits))
    path = folder / "kemi.yaml"
    path.write_text(settings)
    return Configuration(
        cfg,
        # Same headers, same passwords as the stock file.
        ("WITH_SERVER_VERSION", "WITH_CLEARTEXT"),
        (
            ("KEMI_BOOT", str(setup.source / "kemi/boot/kemi_boot.py")),
            ("CHILDREN", setup.workers),
            ("NATPING_INTERVAL", setup.natping),
            ("RTPPROXY_SOCK", setup.relay),
            ("USRLOC_DBMODE", setup.db_mode),
        ),
        path,
    )


def _edited(file: Path, edits: dict[str, str]) -> str:
    text = file.read_text()
    for pattern, new in edits.items():
        text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
        if not count:
            raise ValueError(f"{file}: expected a line that matches {pattern}, found none")
    return text


def _replaced(text: str, old: str, new: str) -> str:
    if old not in text:
        raise ValueError(f"Kamailio's Python example: expected {old!r}, found none")
    return text.replace(old, new)


def _example(name: str) -> Path:
    file = EXAMPLES / name
    if not file.exists():
        raise CannotRunError(f"{file} is not there; it comes with Debian's package kamailio")
    return file
