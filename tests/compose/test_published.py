"""Through the ports of the machine, as a phone elsewhere sees the stack."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import pytest

from kemi.testing.client import Client
from tests.compose.engine import HOST, OUTSIDE
from tests.compose.phone import PASSWORD, PATIENCE, Call, Target, invitation, register
from tests.compose.stack import Stack


@pytest.fixture(scope="module", autouse=True)
def users(stack: Stack) -> None:
    stack.add_users("dora", "emil", password=PASSWORD)


def outside_phone(stack: Stack, user: str, transport: str = "udp") -> Client:
    """Another machine's phone behind a NAT of its own: private addresses in what it writes."""
    with stack.engine.outside.entered():
        return Client(
            Target(HOST),
            user,
            address=OUTSIDE,
            transport=transport,
            domain=stack.env["SIP_DOMAIN"],
            contact_host="192.168.5.5",
            contact_port=5060,
        )


@pytest.fixture
def dora(stack: Stack) -> Iterator[Client]:
    with outside_phone(stack, "dora") as client:
        yield client


@pytest.fixture
def emil(stack: Stack) -> Iterator[Client]:
    with outside_phone(stack, "emil") as client:
        yield client


def test_env_says_this_machines_address(stack: Stack) -> None:
    assert stack.env["ADVERTISED_ADDRESS"] == HOST


def test_the_source_address_of_a_phone_elsewhere_is_kept(stack: Stack, dora: Client) -> None:
    assert register(dora).status == 200
    assert stack.sql("SELECT received FROM location WHERE username = 'dora'") == [
        [f"sip:{OUTSIDE}:{dora.port}"]
    ]


def test_the_server_calls_itself_by_the_advertised_address(dora: Client, emil: Client) -> None:
    for phone in (dora, emil):
        assert register(phone).status == 200
    call = Call(dora, emil, invitation(dora, emil.uri))
    came, got = call.offered, call.accepted
    assert HOST in (came.header("Record-Route") or "")
    assert HOST in (came.header("Via") or "")
    assert f"IN IP4 {HOST}" in came.body
    assert "198.51.100." not in str(came)
    assert f"c=IN IP4 {HOST}" in got.body
    # And a request along that route, from the side that was called.
    call.hang_up()


def test_tcp_serves(stack: Stack) -> None:
    with outside_phone(stack, "dora", "tcp") as phone:
        assert register(phone).status == 200


def test_tls_serves(stack: Stack) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # made by the container for itself
    with stack.engine.outside.entered():
        plain = socket.create_connection((HOST, 5061), timeout=PATIENCE)
    with context.wrap_socket(plain) as connection:
        connection.sendall(
            f"OPTIONS sip:{stack.env['SIP_DOMAIN']} SIP/2.0\r\n"
            f"Via: SIP/2.0/TLS {OUTSIDE};branch=z9hG4bK-tls\r\nFrom: <sip:x@{OUTSIDE}>;tag=1\r\n"
            f"To: <sip:{stack.env['SIP_DOMAIN']}>\r\nCall-ID: tls\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 5\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        assert connection.recv(4096).startswith(b"SIP/2.0 200 ")
