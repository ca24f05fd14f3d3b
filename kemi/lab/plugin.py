"""pytest fixtures for tests of calls across NATs: need root, and import little, since every pytest run loads them."""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kemi.lab.lab import Lab


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kemi-lab", "the laboratory of NATs and phones")
    group.addoption(
        "--keep-runs", action="store_true", help="keep captures and logs of laboratory tests that pass, too"
    )


_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    folder = getattr(item, "funcargs", {}).get("run_dir")
    if report.failed and folder:
        item.stash[_failed] = True
        report.sections.append(("laboratory", f"captures and logs: {folder}"))
    return report


@pytest.fixture(scope="session")
def runs_dir(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder for the captures and logs of this run of pytest; it goes when nothing is left in it."""
    try:
        from kemi.lab.lab import require_root_and_programs
    except ModuleNotFoundError as error:
        raise pytest.fail.Exception(
            f"the laboratory needs the Python package {error.name}: pip install 'kemi[lab]'", pytrace=False
        ) from None
    from kemi.lab.errors import LabError

    try:
        require_root_and_programs()
    except LabError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    folder = request.config.rootpath / "runs" / "tests" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    folder.mkdir(parents=True)
    yield folder
    with contextlib.suppress(OSError):  # not empty: a test failed
        folder.rmdir()


@pytest.fixture
def run_dir(request: pytest.FixtureRequest, runs_dir: Path) -> Iterator[Path]:
    """The folder for this test's captures and logs; kept when the test fails, or with ``--keep-runs``."""
    name = request.node.nodeid.rpartition("/")[2].removesuffix("]")
    folder = runs_dir / re.sub(r"[^\w.-]+", "-", name)
    yield folder
    if not request.config.getoption("--keep-runs") and not request.node.stash.get(_failed, False):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def lab(request: pytest.FixtureRequest, run_dir: Path) -> "Iterator[Lab]":
    """An empty laboratory, with its captures and logs in `run_dir`; ``lab.kamailio()`` starts your routes in it.

    Your routes are those of kemi.yaml, as for the fixture ``kamailio``; the marker's ``settings`` names another one.
    """
    from kemi.lab.lab import Lab
    from kemi.testing.options import OptionsError, options_of

    try:
        settings_file = options_of(request).settings
    except OptionsError as problem:
        raise pytest.fail.Exception(str(problem), pytrace=False) from None
    try:
        with Lab(run_dir, keep=True, settings_file=settings_file) as laboratory:
            yield laboratory
    except BaseException:
        request.node.stash[_failed] = True
        raise
