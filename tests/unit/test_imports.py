"""Inside Kamailio only the standard library and PyYAML are imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from kemi.testing.plugin import install
install()
before = set(sys.modules)
import kemi.handler
for name in sorted(set(sys.modules) - before):
    print(name)
"""


def test_the_handler_imports_the_standard_library_and_yaml_only() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in run.stdout.split()}
    compiled_yaml = {name for name in imported if name == "_yaml" or name.startswith(("cython", "_cython"))}
    assert imported - set(sys.stdlib_module_names) - compiled_yaml == {"kemi", "yaml"}
    assert not {
        name for name in run.stdout.split() if name.startswith(("kemi.cli", "kemi.lab", "kemi.testing"))
    }


def test_the_test_kit_does_without_the_laboratory() -> None:
    library = Path(__file__).parents[2] / "kemi"
    sources = [path for part in ("testing", "cli") for path in (library / part).glob("*.py")]
    using = {path.name for path in sources if "from kemi.lab" in path.read_text(encoding="utf-8")}
    assert using == set()


def test_only_the_border_sees_ksr() -> None:
    border = {
        "message.py",
        "request.py",
        "branch.py",
        "reply.py",
        "log.py",
        "features.py",
        "tables.py",
        "queues.py",
        "memory.py",
        "sqlite.py",
        "custom.py",
        "http.py",
        "own_uri.py",
        "hops.py",
        "self_report.py",
        "metrics.py",
    }
    library = Path(__file__).parents[2] / "kemi"
    using = {path.name for path in library.glob("*.py") if "import KSR" in path.read_text(encoding="utf-8")}
    assert using == border
