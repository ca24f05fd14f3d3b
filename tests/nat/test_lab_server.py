"""The laboratory's own Kamailio."""

from __future__ import annotations

from pathlib import Path

import pytest

from kemi.lab.lab import Lab
from tests.virtual_environment import activate, empty_environment


def test_the_python_of_an_active_virtual_environment_is_not_kamailios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate(empty_environment(tmp_path), monkeypatch)
    with Lab(tmp_path / "lab") as lab:
        assert lab.kamailio().rpc("core.version").startswith("kamailio")
