"""One engine and one stack for all tests of this folder."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.compose import engine as engines
from tests.compose.engine import Engine
from tests.compose.stack import Stack

_FIGURES = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() != 0 and any(Path(__file__).parent in item.path.parents for item in items):
        pytest.exit("these tests start a Docker engine and must run as root: try sudo", returncode=2)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a line with a measured figure; all are printed at the end of the run."""
    return request.config.stash[_FIGURES].append


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FIGURES] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    terminalreporter.section("measured")
    for line in config.stash[_FIGURES]:
        terminalreporter.write_line(line)


def build_image(engine: Engine, name: str) -> str:
    """Build what a registry would have, from the folder of that name; the image's name."""
    files = engine.folder / name
    shutil.copytree(Path(__file__).parent / name, files, dirs_exist_ok=True)
    engine.output(["docker", "build", "--quiet", "--tag", f"kemi-test-{name}", str(files)], seconds=600)
    return f"kemi-test-{name}"


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A Docker engine that has the base image and a database image."""
    with engines.running() as running:
        running.environment["DATABASE_IMAGE"] = build_image(running, "database")
        yield running


@pytest.fixture(scope="session")
def cold(engine: Engine) -> tuple[Stack, float]:
    """The stack as `make up` made it from nothing, and the seconds that took."""
    stack = Stack(engine, engine.folder / "stack")
    began = time.monotonic()
    stack.make("up", seconds=600)
    return stack, time.monotonic() - began


@pytest.fixture(scope="session")
def stack(cold: tuple[Stack, float]) -> Stack:
    """The running stack."""
    running = cold[0]
    running.address_clients()
    return running
