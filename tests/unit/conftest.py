"""Fixtures of the unit tests."""

from __future__ import annotations

import pytest

from kemi.router import Router
from kemi.settings import Settings
from kemi.testing.ksr import FakeKSR
from tests.unit.serving import HTABLES, MakeServer, Server


@pytest.fixture
def make_server(ksr: FakeKSR) -> MakeServer:
    """A server with these defines, settings and router class."""

    def make(*defines: str, settings: Settings | None = None, router: type[Router] = Router) -> Server:
        ksr.defines = dict.fromkeys(defines, "")
        ksr.htables = {name: {} for name in HTABLES}
        return Server(ksr, settings or Settings(), router)

    return make
