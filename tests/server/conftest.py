"""Real servers, databases and phones for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kemi.testing.client import Client
from kemi.testing.relay import Relay
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from tests.parity.root import MACHINE, SUITES, Root, make
from tests.server import distribution as distributions
from tests.server import mariadb as database
from tests.server import phones
from tests.server.distribution import Distribution, Terminal


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--debian", choices=SUITES, help="compare the fake KSR with this Debian suite's Kamailio (root)"
    )


@pytest.fixture(scope="session")
def root(request: pytest.FixtureRequest) -> Root:
    """The machine's own Kamailio, or with ``--debian`` another suite's."""
    suite = request.config.getoption("--debian", None)
    return make(suite) if suite else MACHINE


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


@pytest.fixture(scope="module")
def relay(start_shared: Servers) -> Relay:
    return start_shared.relay()


@pytest.fixture(scope="module", params=["default", "stock"])
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# -- phones of the module's own `server`


@pytest.fixture
def alice(server: KamailioServer) -> Iterator[Client]:
    """With a public address."""
    with phones.public_alice(server) as client:
        yield client


@pytest.fixture
def nated_alice(server: KamailioServer) -> Iterator[Client]:
    """Behind a NAT."""
    with phones.nated_alice(server) as client:
        yield client


@pytest.fixture
def bob(server: KamailioServer) -> Iterator[Client]:
    """Registered, with a public address."""
    with phones.registered(phones.public_bob(server), server) as client:
        yield client


@pytest.fixture
def nated_bob(server: KamailioServer) -> Iterator[Client]:
    """Registered from behind a NAT."""
    with phones.registered(phones.nated_bob(server), server) as client:
        yield client


@pytest.fixture
def carol(server: KamailioServer) -> Iterator[Client]:
    """Of a foreign domain: her address is no address of ours."""
    with phones.foreign_carol(server) as client:
        yield client


# -- what a release consists of


@pytest.fixture(scope="session")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    return distributions.build(tmp_path_factory.mktemp("distribution"))


@pytest.fixture(scope="session")
def installed(distribution: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A terminal outside the clone, in whose environment the wheel is installed with ``kemi[testing]``."""
    # A short name, as above: servers are started below it.
    return Terminal.with_installed(tmp_path_factory.mktemp("n"), f"{distribution.wheel}[testing]")


# -- databases


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[database.MariaDb]:
    """One server for all tests; each makes a schema of its own."""
    with database.started(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'kemi.sqlite'}"


@pytest.fixture
def mysql_url(mariadb: database.MariaDb) -> str:
    return mariadb.new_database()


@pytest.fixture(params=["sqlite", "mysql"])
def url(request: pytest.FixtureRequest) -> str:
    """A DBURL of either kind, without any table yet."""
    return str(request.getfixturevalue(f"{request.param}_url"))
