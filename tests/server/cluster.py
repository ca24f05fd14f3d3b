"""A cluster on loopback: two edges in front of two registrars, with one database and one relay."""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kemi.cli.paths import PACKAGE
from kemi.cli.rpc import RpcError
from kemi.deadline import wait_until
from kemi.testing.builders import sdp
from kemi.testing.client import Client
from kemi.testing.dialog import call, hang_up
from kemi.testing.digest import authorize
from kemi.testing.message import Message
from kemi.testing.process import free_port
from kemi.testing.relay import Relay
from kemi.testing.server import KamailioServer
from kemi.testing.servers import database
from tests.parity.root import MACHINE, Root

EDGES = ("127.0.1.1", "127.0.1.2")
REGISTRARS = ("127.0.1.11", "127.0.1.12")
# Milliseconds: less than a client of these tests waits, more than a busy machine needs.
PATIENCE = 1000
SETTINGS = f"""\
log:
  decisions: all
cluster:
  edges: [{", ".join(EDGES)}]
  registrars: [{", ".join(REGISTRARS)}]
  patience: {PATIENCE}
"""
EITHER_EDGE = pytest.mark.parametrize(("at", "other"), list(itertools.product((0, 1), (0, 1))))
USERS = {"alice": "a secret", "bob": "b secret", "carol": "c secret"}

NewFolder = Callable[[], Path]
MakeCluster = Callable[..., "Cluster"]


class Cluster:
    """All with the same kemi.yaml, `settings` added, and of the Kamailio in `root`. `relays` are weights.

    Not started until :meth:`start`; ended by :meth:`close`.
    """

    def __init__(
        self,
        new_folder: NewFolder,
        dburl: str,
        *,
        root: Root = MACHINE,
        relays: Sequence[int] = (1,),
        edge_defines: Sequence[str] = (),
        registrar_defines: Sequence[str] = (),
        settings: str = "",
        **values: str | int | Path,
    ) -> None:
        self._stack = ExitStack()
        self._new_folder = new_folder
        self._root = root
        folder = new_folder()
        self._settings = folder / "kemi.yaml"
        self._settings.write_text(SETTINGS + settings)
        self._ports = {address: free_port(address) for address in (*EDGES, *REGISTRARS)}
        dispatcher = folder / "dispatcher.list"
        dispatcher.write_text("".join(f"1 {self._uri(address)}\n" for address in REGISTRARS))
        self.relays = [Relay(new_folder()) for _ in relays]
        for relay in self.relays:
            self._stack.callback(relay.stop)
        self.registrars = [
            self._server(
                own,
                ("WITH_CLUSTER", "WITH_AUTH", *registrar_defines),
                values,
                DBURL=dburl,
                SERVER_ID=number,
                DMQ_ADDRESS=self._uri(own),
                DMQ_PEER=self._uri(peer),
                AUTH_SECRET="not a secret",
            )
            for number, own, peer in zip((1, 2), REGISTRARS, reversed(REGISTRARS), strict=True)
        ]
        self.edges = [
            self._server(
                own,
                ("WITH_EDGE", *edge_defines),
                values,
                DISPATCHER_LIST=dispatcher,
                DISPATCHER_PING=1,
                RTPPROXY_SOCK=" ".join(
                    f"{relay.control}={weight}" for relay, weight in zip(self.relays, relays, strict=True)
                ),
            )
            for own in EDGES
        ]

    @property
    def relay(self) -> Relay:
        """The first relay, which both edges use."""
        return self.relays[0]

    def start(self) -> None:
        for relay in self.relays:
            relay.start()
        for server in (*self.registrars, *self.edges):
            server.start()
        wait_until("the registrars to know each other", lambda: all(map(peers, self.registrars)), 10)

    def close(self) -> None:
        self._stack.close()

    def wait_for_contacts(self, user: str, number: int = 1) -> None:
        """Until every registrar that runs has so many contacts of the user: they share them after the 200."""
        for registrar in self.registrars:
            if registrar.process.is_running:
                wait_until(
                    f"{registrar.address} to have {number} contacts of {user}",
                    lambda one=registrar: len(contacts(one, user)) == number,  # type: ignore[misc]
                    5,
                )

    def wait_for_registration(self, user: str, call_id: str) -> None:
        """Until every registrar has the contact of the REGISTER with this Call-ID, and no other."""
        for registrar in self.registrars:
            wait_until(
                f"{registrar.address} to have the contact of {user} with Call-ID {call_id}",
                lambda one=registrar: [contact["Call-ID"] for contact in contacts(one, user)] == [call_id],  # type: ignore[misc]
                5,
            )

    @contextmanager
    def registered(self, phone: Client) -> Iterator[Client]:
        """Within the block the phone is registered, and all registrars know."""
        with phone:
            assert phone.register(password=USERS[phone.user]).status == 200
            self.wait_for_contacts(phone.user)
            yield phone
            assert phone.register(expires=0, password=USERS[phone.user]).status == 200
            self.wait_for_contacts(phone.user, 0)

    def _uri(self, address: str) -> str:
        return f"sip:{address}:{self._ports[address]}"

    def _server(
        self,
        address: str,
        defines: Sequence[str],
        values: dict[str, str | int | Path],
        **own: str | int | Path,
    ) -> KamailioServer:
        server = _Server(
            self._root,
            self._new_folder(),
            defines=("WITH_NAT", *defines),
            values=values | own,
            settings=self._settings,
            address=address,
        )
        server.port = self._ports[address]
        self._stack.callback(server.stop)
        return server


class _Server(KamailioServer):
    """A server of any Debian suite's Kamailio."""

    def __init__(self, root: Root, folder: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        self._root = root

    def command(self) -> list[str]:
        # The address to which an RPC is answered is a temporary file, too.
        shared = [PACKAGE.parent, Path(tempfile.gettempdir()), self.folder.parent]
        return self._root.command(super().command(), shared)


def peers(registrar: KamailioServer) -> list[str]:
    """The other registrars that this one shares contacts with now."""
    nodes = registrar.rpc("dmq.list_nodes")
    return [
        node["host"] for node in nodes if node["status"] == "active" and node["host"] != registrar.address
    ]


def contacts(registrar: KamailioServer, user: str) -> list[dict[str, Any]]:
    """What the registrar holds in memory for a user."""
    try:
        record = registrar.rpc("ul.lookup", "location", user)
    except RpcError:
        return []
    return [entry["Contact"] for entry in record["Contacts"]]


def nated(edge: KamailioServer, user: str, number: int = 2) -> Client:
    """A phone behind a NAT: what it writes in Via and Contact is a private address."""
    return Client(edge, user, address=f"127.0.0.{number}", contact_host=f"10.0.0.{number}", contact_port=5060)


def invited(caller: Client, callee: Client | str, body: str | None = None, call_id: str = "") -> Message:
    """An INVITE that has the caller's password in it: one without was refused before."""
    uri = callee if isinstance(callee, str) else callee.uri
    offer = sdp(caller.contact_host) if body is None else body
    request = caller.request("INVITE", uri, body=offer, headers={"Call-ID": call_id} if call_id else None)
    caller.send(request)
    return authorize(request, caller.final(request), caller.user, USERS[caller.user])


def media_address(message: Message) -> str:
    """The address in the SDP's ``c=``."""
    found = re.search(r"^c=IN IP4 (\S+)", message.body, re.MULTILINE)
    assert found, f"no c= in:\n{message}"
    return found[1]


def active(edge: KamailioServer) -> int:
    """How many registrars this edge uses."""
    [record] = edge.rpc("dispatcher.list")["RECORDS"]
    return sum(target["DEST"]["FLAGS"].startswith("A") for target in record["SET"]["TARGETS"])


def kill(server: KamailioServer) -> None:
    """As a crash would end it."""
    server.kill()
    assert not server.process.is_running


def require_call(caller: Client, callee: Client) -> None:
    """A call from INVITE to BYE."""
    calling, called = call(caller, callee, invite=invited(caller, callee))
    hang_up(called, calling)


def clusters(factory: pytest.TempPathFactory, root: Root) -> Iterator[MakeCluster]:
    """Makes started clusters, for tests that kill servers."""
    with ExitStack() as stack:

        def make(dburl: str = "", **options: Any) -> Cluster:
            url = dburl or database(factory.mktemp("k") / "kemi.sqlite", USERS)
            made = Cluster(lambda: factory.mktemp("k"), url, root=root, **{"NATPING_INTERVAL": 0, **options})
            stack.callback(made.close)
            made.start()
            return made

        yield make


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, root: Root) -> Iterator[Cluster]:
    """As shipped, but for keepalives: there are none. For a module that imports it, as the two below."""
    folder = tmp_path_factory.mktemp("k")
    made = Cluster(
        lambda: tmp_path_factory.mktemp("k"),
        database(folder / "kemi.sqlite", USERS),
        root=root,
        NATPING_INTERVAL=0,
    )
    with closing(made):
        made.start()
        yield made


@pytest.fixture
def edge(cluster: Cluster) -> KamailioServer:
    """The first edge."""
    return cluster.edges[0]


@pytest.fixture
def bob(cluster: Cluster) -> Iterator[Client]:
    """Registered from behind a NAT through the second edge."""
    with cluster.registered(nated(cluster.edges[1], "bob", 3)) as phone:
        yield phone
