"""What a release brings, and nothing else; from the wheel everything is found that a clone finds."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.server.distribution import ROOT, Distribution, Terminal, run

EXAMPLES = Path("/usr/share/doc/kamailio/examples/kemi")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def _sources(folder: Path) -> set[str]:
    """The files of a folder, but for what running and checking them leaves."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    left = re.compile(r"__pycache__|\..*_cache")
    return {str(path) for path in paths if not any(map(left.fullmatch, path.parts))}


@pytest.fixture(scope="module")
def in_the_wheel(distribution: Distribution) -> set[str]:
    return set(zipfile.ZipFile(distribution.wheel).namelist())


@pytest.fixture(scope="module")
def in_the_sdist(distribution: Distribution) -> set[str]:
    with tarfile.open(distribution.sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames() if name.partition("/")[2]}


def test_the_wheel_has_the_whole_library_and_nothing_else(in_the_wheel: set[str]) -> None:
    expected = {f"kemi/{name}" for name in _sources(ROOT / "kemi")}
    expected |= {f"KSR-stubs/{name}" for name in _sources(ROOT / "stubs" / "KSR")}
    shared = f"kemi-{VERSION}.data/data/share/kemi"
    expected |= {f"{shared}/{name}" for name in ("kamailio.cfg", "rtpproxy/__main__.py", "docs/checks.md")}
    assert {name for name in in_the_wheel if ".dist-info/" not in name} == expected


def test_the_sdist_has_what_the_wheel_is_made_of_and_what_one_reads_first(in_the_sdist: set[str]) -> None:
    read_first = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"}
    assert read_first | {"kamailio.cfg", "rtpproxy/__main__.py", "pyproject.toml"} <= in_the_sdist
    folders = {name.partition("/")[0] for name in in_the_sdist if "/" in name}
    assert folders == {"docs", "kemi", "kemi.egg-info", "rtpproxy", "stubs"}


def test_the_tools_of_the_trade_find_nothing_wrong(distribution: Distribution) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", str(distribution.sdist), str(distribution.wheel))
    checker = [sys.executable, "-m", "check_wheel_contents", "--config", str(ROOT / "pyproject.toml")]
    run(*checker, str(distribution.wheel))


def test_the_version_is_written_in_one_place(distribution: Distribution, installed: Terminal) -> None:
    assert distribution.wheel.name == f"kemi-{VERSION}-py3-none-any.whl"
    assert distribution.sdist.name == f"kemi-{VERSION}.tar.gz"
    assert installed.type("kemi --version") == (0, f"kemi, version {VERSION}\n")
    newest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == VERSION
    sources = [path for path in (ROOT / "kemi").rglob("*.py") if f'"{VERSION}"' in path.read_text()]
    assert sources == []


def test_every_command_of_a_server_works_without_any_extra(installed: Terminal) -> None:
    without = ["pytest", "_pytest", "rtp", "numpy", "jinja2", "pymysql"]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({without!r}))\n"
        "from importlib import import_module\n"
        "from kemi.cli.main import COMMANDS\n"
        "for name, (place, _) in COMMANDS.items():\n"
        "    if name != 'lab': import_module(place.partition(':')[0])\n"
    )
    done = subprocess.run(
        [*installed.command("python -c"), program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_kamailio_needs_is_found_where_it_was_installed(installed: Terminal) -> None:
    for command in ("kemi boot-path", "kemi cfg-path"):
        code, output = installed.type(command)
        path = Path(output.strip())
        assert code == 0, output
        assert path.is_file()
        assert path.is_relative_to(installed.environment)


@pytest.mark.parametrize("option", ["--prefix", "--target"])
def test_it_is_found_in_any_folder_that_pip_is_told(
    distribution: Distribution, installed: Terminal, tmp_path: Path, option: str
) -> None:
    code, output = installed.type(
        f"pip install --quiet --no-deps --ignore-installed {option} {tmp_path} {distribution.wheel}"
    )
    assert code == 0, output
    (package,) = tmp_path.rglob("kemi/__init__.py")
    program = "from kemi.cli.paths import product_file; print(product_file('rtpproxy'))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(package.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == str(tmp_path / "share" / "kemi" / "rtpproxy"), done.stderr


def test_kemi_check_holds_from_the_wheel(installed: Terminal, tmp_path: Path) -> None:
    """All planted mistakes and no other, by the tests of the clone and the library of the wheel."""
    samples = tmp_path / "tests" / "unit"
    shutil.copytree(ROOT / "tests" / "unit" / "check_samples", samples / "check_samples")
    shutil.copy(ROOT / "tests" / "unit" / "test_check.py", samples)
    # It reads them when it is loaded.
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    there = installed.elsewhere(tmp_path)
    code, output = there.type("python -m pytest --quiet -k 'planted or left_alone'", seconds=120)
    assert code == 0, output
    found = re.search(r"(\d+) passed", output)
    assert found is not None
    assert int(found[1]) > 20


def test_kemi_check_knows_kamailios_own_example_and_ours(installed: Terminal) -> None:
    code, output = installed.type("kemi cfg-path")
    assert installed.type(f"kemi check {output.strip()}") == (0, "No mistakes found.\n")
    code, output = installed.type(f"kemi check --kamailio 5.6 {EXAMPLES / 'kamailio-basic-kemi-python.py'}")
    assert code == 1
    assert re.findall(r": (K\d+) ", output) == ["K202", "K401"]
