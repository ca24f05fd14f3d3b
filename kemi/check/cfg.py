"""What a kamailio.cfg loads, sets and names, as far as Python routes depend on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kemi.check.cfg_reader import Reader, Statement, module_name
from kemi.check.finding import Finding
from kemi.check.target import Target, installed

# What `cfgengine` calls Kamailio's own routes, which are in charge without one, too.
NATIVE = ("native", "default")


@dataclass(frozen=True)
class Cfg:
    """A kamailio.cfg as Kamailio would read it with some defines."""

    path: Path
    name: str
    statements: tuple[Statement, ...]
    defines: dict[str, str]
    findings: tuple[Finding, ...]

    def active(self, kind: str) -> list[Statement]:
        """The statements of that kind that apply."""
        return [statement for statement in self.statements if statement.kind == kind and statement.active]

    def loads(self, module: str) -> bool:
        """Is the module loaded?"""
        return any(module_name(statement.args[0]) == module for statement in self.active("loadmodule"))

    def loaded_where(self, module: str) -> tuple[str, ...]:
        """The conditions under which it would be; empty if it is nowhere in the file."""
        for statement in self.statements:
            if statement.kind == "loadmodule" and module_name(statement.args[0]) == module:
                return statement.conditions
        return ()

    def parameters(self, module: str, name: str) -> list[Statement]:
        """The `modparam` statements for that parameter that apply; the value is their last argument."""
        found = []
        for statement in self.active("modparam"):
            if len(statement.args) == 3 and statement.args[1] == name:
                pattern = statement.args[0]
                if pattern == module or ("|" in pattern and re.fullmatch(f"(?:{pattern})", module)):
                    found.append(statement)
        return found

    @property
    def engine_statement(self) -> Statement | None:
        """The `cfgengine` that applies."""
        statements = self.active("cfgengine")
        return statements[-1] if statements else None

    @property
    def engine(self) -> str | None:
        """The language named by `cfgengine`, in lower case, as Kamailio compares it; None without one."""
        return self.engine_statement.args[0].lower() if self.engine_statement else None

    @property
    def runs_python(self) -> bool:
        """Do requests go to Python by themselves?"""
        return self.engine in ("python", "python3")

    @property
    def calls_python(self) -> bool:
        """Are Kamailio's own routes in charge, which call Python where they like?"""
        return self.engine in (None, *NATIVE) and bool(self.active("python_exec"))

    def route(self, kind: str, name: str = "") -> Statement | None:
        """The native route of that kind, such as "branch_route"."""
        return next((each for each in self.active(kind) if each.args == ((name,) if name else ())), None)

    @property
    def script(self) -> Statement | None:
        """The statement that names the file which app_python3 loads."""
        found = self.parameters("app_python3", "load") + self.parameters("app_python3", "script_name")
        return found[-1] if found else None

    def callback(self, kind: str) -> Statement | None:
        """The statement ``kemi.KIND_route_callback=...``, such as for "onsend"."""
        found = self.active(f"kemi.{kind}_route_callback")
        return found[-1] if found else None


def read(path: Path, name: str, target: Target, defines: Sequence[str] = ()) -> Cfg:
    """The cfg, with `defines` as `kamailio -A` takes them. Raises OSError if the file cannot be opened."""
    given = dict.fromkeys(target.defines, "")
    for define in defines:
        key, _, value = define.partition("=")
        given[key] = value
    reader = Reader(given)
    reader.read(path, name)
    statements = tuple(reader.statements)
    if target == installed():
        statements = _as_kamailio_sees_them(path, defines, statements, dict.fromkeys(target.defines, ""))
    return Cfg(path, name, statements, reader.defines, tuple(reader.findings))


def _as_kamailio_sees_them(
    path: Path, defines: Sequence[str], statements: tuple[Statement, ...], known: dict[str, str]
) -> tuple[Statement, ...]:
    """The statements, active where Kamailio's own reader keeps them; unchanged where it cannot tell."""
    run = ask_kamailio(path, defines, "--cfg-print", seconds=5)
    if run is None or run.returncode != 0:
        return statements
    printed = run.stdout.decode("utf-8", "replace")
    for define in defines:
        key, _, value = define.partition("=")
        known[key] = value
    reader = Reader(known)
    # Conditions and includes are gone from it, and with them places: those come from our own reading.
    reader.read_text(printed, "", path.parent)
    kept = Counter((statement.kind, statement.args) for statement in reader.statements)
    seen = []
    for statement in sorted(enumerate(statements), key=lambda item: not item[1].active):
        index, found = statement
        key_ = (found.kind, found.args)
        seen.append((index, replace(found, active=kept[key_] > 0)))
        kept[key_] -= 1
    return tuple(found for _, found in sorted(seen, key=lambda item: item[0]))


def ask_kamailio(
    path: Path, defines: Sequence[str], option: str, seconds: float
) -> subprocess.CompletedProcess[bytes] | None:
    """What the installed Kamailio makes of a cfg; None without one, or if it takes longer."""
    program = shutil.which("kamailio", path="/usr/local/sbin:/usr/sbin:/usr/bin") or shutil.which("kamailio")
    if program is None:
        return None
    command = [program, "-f", str(path), option]
    for define in defines:
        command += ["-A", define]
    try:
        return subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return None
