"""What the documents show is what happens."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests import documents
from tests.documents import Dial, Mend, Type, Write

PAGES = sorted(str(page.relative_to(documents.DOCS)) for page in documents.DOCS.rglob("*.md"))


def test_the_tutorial_prints_what_it_says(tmp_path: Path) -> None:
    """The commands that need no server; tests/server runs the whole tutorial."""
    (tmp_path / "kemi.yaml").write_text("router: routes:Routes\n")
    before: dict[Path, str] = {}
    checked = 0
    for step in documents.steps("tutorial.md"):
        match step:
            case Write(name, text, append):
                path = tmp_path / name
                path.parent.mkdir(exist_ok=True)
                if append:
                    before[path] = path.read_text()
                path.write_text(before.get(path, "") + text)
            case Type("kemi check"):
                program = [sys.executable, "-c", "from kemi.cli.main import main; main()", "check"]
                ran = subprocess.run(
                    program, cwd=tmp_path, text=True, capture_output=True, timeout=30, check=False
                )
                assert step.printed(ran.stdout), ran.stdout + ran.stderr
                checked += 1
            case Mend():
                for path, text in before.items():
                    path.write_text(text)
                before.clear()
            case Type() | Dial():
                pass
    assert checked == 6


@pytest.mark.parametrize("page", PAGES)
def test_python_in_documents_is_python(page: str) -> None:
    for block in documents.blocks(page):
        text = textwrap.dedent(re.sub(r"\A# [\w/]+\.py, at the end\n", "", block["text"]))
        if block["language"] == "python" and text != "def oops(:\n":
            ast.parse(text, filename=f"docs/{page}")
