"""The sdist and the wheel, built from a copy of this clone, and an environment that has nothing but the wheel."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NO_SOURCES = {"build", "dist", "runs", "var", "__pycache__"}
# What the tests' own environment must not do to it.
_FOREIGN = ("KEMI", "PYTEST", "PYTHON", "VIRTUAL_ENV")
_SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Distribution:
    """What a release consists of."""

    sdist: Path
    wheel: Path


def build(folder: Path) -> Distribution:
    """The sdist from a copy of all sources, tests included, and the wheel from the sdist."""
    source = folder / "source"
    # The build writes beside its sources, so it gets a copy of its own.
    shutil.copytree(ROOT, source, symlinks=True, ignore=_no_sources)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source))
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Distribution(sdist, wheel)


def _no_sources(_folder: str, names: list[str]) -> set[str]:
    return {
        name for name in names if name in _NO_SOURCES or name.startswith(".") or name.endswith(".egg-info")
    }


@dataclass
class Terminal:
    """A shell of a newcomer in `folder`: the system's programs, and an environment that is active."""

    folder: Path
    environment: Path

    @classmethod
    def with_installed(cls, folder: Path, requirement: str) -> Terminal:
        """One in `folder`, with a fresh environment that has `requirement`."""
        terminal = cls(folder, folder / "venv")
        run("/usr/bin/python3", "-m", "venv", str(terminal.environment))
        code, output = terminal.type(f"pip install --quiet {shlex.quote(requirement)}", seconds=300)
        assert code == 0, output
        return terminal

    def elsewhere(self, folder: Path) -> Terminal:
        """Another one, same environment."""
        return Terminal(folder, self.environment)

    def command(self, line: str) -> list[str]:
        """What starts the command `line` here, whatever the environment of the tests is."""
        foreign = [name for name in os.environ if name.startswith(_FOREIGN)]
        unset = [part for name in foreign for part in ("-u", name)]
        return ["env", *unset, f"PATH={self.environment / 'bin'}:{_SYSTEM}", *shlex.split(line)]

    def type(self, line: str, seconds: float = 60) -> tuple[int, str]:
        """Exit code of a command, and what it printed."""
        done = subprocess.run(
            self.command(line),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        return done.returncode, done.stdout


def run(*command: str) -> str:
    """What a command prints. An AssertionError with it if the command fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}:\n{done.stdout}{done.stderr}"
    return done.stdout
