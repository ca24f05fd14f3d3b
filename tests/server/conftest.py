"""Real servers for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemi.testing.servers import Servers


def _servers(factory: pytest.TempPathFactory) -> Iterator[Servers]:
    # A short name: the paths of unix sockets are limited.
    servers = Servers(lambda: factory.mktemp("k"))
    try:
        yield servers
    finally:
        servers.close()


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Makes servers for one test."""
    yield from _servers(tmp_path_factory)


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Makes servers for all tests of a module."""
    yield from _servers(tmp_path_factory)
