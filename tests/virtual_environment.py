"""A virtual environment that is active, as in the shell of whoever develops routes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


def empty_environment(folder: Path) -> Path:
    """A virtual environment of the system's Python without any package; PyYAML is not in it."""
    path = folder / "venv"
    command = ["/usr/bin/python3", "-m", "venv", "--without-pip", str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return path


def activate(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its python3 is now the first on PATH."""
    monkeypatch.setenv("PATH", f"{environment / 'bin'}:{os.environ['PATH']}")
