"""What `pip install kemi` brings: mypy finds the types of KSR in the user's own environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.distribution import Terminal

ROUTES = """\
import KSR


def wrong() -> bool:
    return not KSR.siputils.has_totag()


def right() -> bool:
    return KSR.siputils.has_totag() < 0 and KSR.is_INVITE()
"""


@pytest.fixture
def python(installed: Terminal) -> Path:
    """The interpreter of an environment with the wheel in it."""
    return installed.environment / "bin" / "python"


def test_mypy_finds_the_types_in_the_users_environment(python: Path, tmp_path: Path) -> None:
    (tmp_path / "routes.py").write_text(ROUTES)
    options = ["--strict", "--enable-error-code", "truthy-bool", "--python-executable", str(python)]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "routes.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    first, summary = checked.stdout.splitlines()
    assert first.startswith(
        'routes.py:5: error: "has_totag" returns "Code" which does not implement __bool__'
    )
    assert summary == "Found 1 error in 1 file (checked 1 source file)"


def test_outside_kamailio_there_is_no_module_of_that_name(python: Path) -> None:
    run = subprocess.run([str(python), "-c", "import KSR"], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError: No module named 'KSR'" in run.stderr
