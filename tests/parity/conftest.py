"""Comparisons need namespaces, and so root."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemi.lab import reaper
from kemi.lab.errors import LabError
from kemi.lab.lab import require_root_and_programs


@pytest.fixture(scope="session", autouse=True)
def _namespaces() -> Iterator[None]:
    try:
        require_root_and_programs()
    except LabError as error:
        pytest.fail(str(error), pytrace=False)
    with reaper.running():
        yield
