"""All features at once: the server starts, phones register and call, and each feature still does its part."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kemi.cli.database import connect
from kemi.cli.db import prepare
from kemi.cli.subscribers import Subscribers
from kemi.deadline import wait_until
from kemi.testing.builders import sdp
from kemi.testing.client import Client
from kemi.testing.dialog import Dialog, call, hang_up
from kemi.testing.digest import authorize
from kemi.testing.message import Message
from kemi.testing.process import free_port
from kemi.testing.relay import Relay
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from kemi.testing.uri import address_uri
from tests.server.mariadb import MariaDb, started

PASSWORD = "correct horse"
NAT = ("WITH_NAT", "WITH_NATSIPPING", "WITH_RTPRELAY")
USERS = ("WITH_AUTH", "WITH_IPAUTH", "WITH_USRLOCDB", "WITH_ANTIFLOOD", "WITH_MULTIDOMAIN")
CALLS = ("WITH_PSTN", "WITH_ALIASDB", "WITH_SPEEDDIAL", "WITH_VOICEMAIL", "WITH_BLOCK3XX", "WITH_BLOCK401407")
OTHERS = ("WITH_PRESENCE", "WITH_MSGREBUILD", "WITH_ACCDB", "WITH_TLS", "WITH_JSONRPC", "WITH_DEBUG")
ALIAS = "INSERT INTO dbaliases (alias_username, alias_domain, username, domain) VALUES (?, ?, ?, ?)"
SHORT = "INSERT INTO speed_dial (username, domain, sd_username, sd_domain, new_uri) VALUES (?, ?, ?, ?, ?)"
D = "example.com"

_numbers = itertools.count(1)


def new_address() -> str:
    """For each phone another one: too many requests from one address are a flood."""
    return f"127.0.1.{next(_numbers)}"


@pytest.fixture(scope="module")
def relay(start_shared: Servers) -> Relay:
    return start_shared.relay()


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    with started(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(scope="module", params=["default profile, SQLite", "stock profile, MySQL"])
def unstarted(
    start_shared: Servers, relay: Relay, request: pytest.FixtureRequest
) -> Iterator[KamailioServer]:
    profile = "stock" if "stock" in request.param else "default"
    defines = [*NAT, *USERS, *CALLS, *OTHERS]
    if "MySQL" in request.param:
        defines.append("WITH_MYSQL")
    server = start_shared.make(*defines, relay=relay, settings=f"profile: {profile}\n", NATPING_INTERVAL=0)
    if "MySQL" in request.param:
        mariadb: MariaDb = request.getfixturevalue("mariadb")
        url = mariadb.new_database()
    else:
        url = f"sqlite:///{server.folder / 'kamailio.sqlite'}"
    fill(url)
    server.values |= {"DBURL": url, "TLS_CFG": tls_cfg(server.folder)}
    server.port = free_port()
    yield server
    server.stop()  # it writes to its database once more


def fill(url: str) -> None:
    """Make the tables, and the rows that the tests need."""
    prepare(url)
    with connect(url) as database:
        for user in ("alice", "bob"):
            Subscribers(database).add(user, D, PASSWORD)
        database.execute("INSERT INTO domain (domain) VALUES (?)", D)
        database.execute("INSERT INTO address (ip_addr) VALUES ('127.0.0.6')")
        database.execute(ALIAS, "boss", D, "bob", D)
        database.execute(SHORT, "alice", D, "42", D, f"sip:boss@{D}")


def tls_cfg(folder: Path) -> Path:
    """Settings of module tls, with a certificate that signs itself."""
    certificate, key, path = (folder / name for name in ("certificate.pem", "key.pem", "tls.cfg"))
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    files = ["-subj", f"/CN={D}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    path.write_text(f"[server:default]\nprivate_key = {key}\ncertificate = {certificate}\n")
    return path


@pytest.fixture(scope="module")
def outside(unstarted: KamailioServer) -> Iterator[Client]:
    """Gateway and voicemail server, and an address that is trusted."""
    with Client(unstarted, "outside", address="127.0.0.6", domain="127.0.0.6") as client:
        yield client


@pytest.fixture(scope="module")
def server(unstarted: KamailioServer, outside: Client) -> KamailioServer:
    for name in ("PSTN_GW", "VOICEMAIL"):
        unstarted.values |= {f"{name}_IP": outside.address, f"{name}_PORT": str(outside.port)}
    return unstarted.start()


@pytest.fixture
def alice(server: KamailioServer) -> Iterator[Client]:
    """Behind a NAT."""
    with Client(server, "alice", address=new_address(), contact_host="10.0.0.2", contact_port=5060) as client:
        yield client


@pytest.fixture
def bob(server: KamailioServer) -> Iterator[Client]:
    """Registered, with a public address."""
    with Client(server, "bob", address=new_address()) as client:
        assert client.register(password=PASSWORD).status == 200
        yield client
        assert client.register(password=PASSWORD, expires=0).status == 200


def allowed(caller: Client, method: str, uri: str, body: str = "") -> Message:
    """A request with credentials, not sent yet."""
    request = caller.request(method, uri, body=body)
    caller.send(request)
    challenge = caller.final(request)
    assert challenge.status == 407
    return authorize(request, challenge, caller.user, PASSWORD)


@pytest.mark.parametrize("dialled", ["bob", "boss", "42"])
def test_a_call_under_each_name(
    server: KamailioServer, alice: Client, bob: Client, relay: Relay, dialled: str
) -> None:
    invite = allowed(alice, "INVITE", f"sip:{dialled}@{D}", sdp("10.0.0.2"))
    calling, called = call(alice, bob, invite=invite)
    assert relay.sessions() == 1
    hang_up(called, calling)
    assert relay.sessions() == 0

    def accounted() -> list[tuple[str, str]]:
        with connect(str(server.values["DBURL"])) as database:
            found = database.rows(
                "SELECT method, src_ip FROM acc WHERE callid = ? ORDER BY method DESC",
                calling.call_id,
            )
        return found if len(found) == 2 else []

    rows = wait_until("rows of INVITE and BYE in table acc", accounted, 3)
    assert rows == [("INVITE", alice.address), ("BYE", bob.address)]


def test_a_number_goes_to_the_gateway_and_its_media_through_the_relay(
    alice: Client, outside: Client, relay: Relay
) -> None:
    invite = allowed(alice, "INVITE", f"sip:004930123456@{D}", sdp("10.0.0.2"))
    alice.send(invite)
    came = outside.expect("INVITE")
    assert came.uri == f"sip:+4930123456@{outside.address}:{outside.port}"
    assert f"c=IN IP4 {relay.address}" in came.body
    outside.reply(came, 302, headers={"Contact": "<sip:premium@192.0.2.66>"})
    assert (alice.final(invite).status, relay.sessions()) == (404, 0)
    outside.expect("ACK")


def test_who_is_busy_has_voicemail_through_the_relay(
    alice: Client, bob: Client, outside: Client, relay: Relay
) -> None:
    invite = allowed(alice, "INVITE", f"sip:42@{D}", sdp("10.0.0.2"))
    alice.send(invite)
    bob.reply(bob.expect("INVITE"), 486)
    bob.expect("ACK")
    came = outside.expect("INVITE")
    assert came.uri == f"sip:bob@{outside.address}:{outside.port}"
    sent = outside.reply(came, 200, body=sdp(outside.address))
    calling = Dialog.of_caller(alice, invite, alice.final(invite))
    calling.send("ACK")
    outside.expect("ACK")
    assert relay.sessions() == 1
    hang_up(Dialog.of_callee(outside, came, sent), calling)
    assert relay.sessions() == 0


def test_a_trusted_address_calls_without_a_password(bob: Client, outside: Client) -> None:
    calling, called = call(outside, bob)
    hang_up(calling, called)


def test_a_stranger_calls_our_users_and_nobody_else(server: KamailioServer, bob: Client) -> None:
    with Client(server, "carol", address=new_address(), domain="elsewhere.example") as carol:
        invite = carol.invite(bob.uri)
        bob.reply(bob.expect("INVITE"), 480)
        assert carol.final(invite).status == 480
        with Client(server, "dave", address=new_address()) as dave:
            assert carol.ask("INVITE", address_uri(dave.contact)).status == 403


def test_presence_is_served(alice: Client, bob: Client) -> None:
    watch = {"Event": "presence", "Expires": "600"}
    answer = alice.ask("SUBSCRIBE", bob.uri, headers=watch, password=PASSWORD)
    assert (answer.status, answer.header("Expires")) == (200, "600")
    alice.reply(alice.expect("NOTIFY"), 200)
    body = f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="{bob.uri}"/>'
    headers = {**watch, "Content-Type": "application/pidf+xml"}
    assert bob.ask("PUBLISH", bob.uri, body=body, headers=headers, password=PASSWORD).status == 200
    alice.expect("NOTIFY")


def test_nothing_went_wrong_on_the_way(server: KamailioServer) -> None:
    assert "Traceback" not in server.log_text()
