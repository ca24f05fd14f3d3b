"""Calls to the telephone network (WITH_PSTN)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemi.testing.client import Client
from kemi.testing.process import free_port
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers

COMPLAINT = "WITH_PSTN is defined, but pstn.gw_ip is empty: no call goes to a gateway"
LOCAL = ["bob", "030123456", "+0930123456", "+123", "00123", "+49301234x", "49301234567"]


@pytest.fixture(scope="module")
def unstarted(start_shared: Servers) -> KamailioServer:
    server = start_shared.make("WITH_PSTN")
    server.port = free_port()
    return server


@pytest.fixture(scope="module")
def gateway(unstarted: KamailioServer) -> Iterator[Client]:
    with Client(unstarted, "gateway", address="127.0.0.6", domain="127.0.0.6") as client:
        yield client


@pytest.fixture(scope="module")
def server(unstarted: KamailioServer, gateway: Client) -> KamailioServer:
    unstarted.values |= {"PSTN_GW_IP": gateway.address, "PSTN_GW_PORT": str(gateway.port)}
    return unstarted.start()


@pytest.fixture
def alice(server: KamailioServer) -> Iterator[Client]:
    with Client(server, "alice", address="127.0.0.2") as client:
        yield client


@pytest.mark.parametrize("number", ["+4930123456", "004930123456"])
def test_numbers_in_international_format_go_to_the_gateway(
    alice: Client, gateway: Client, number: str
) -> None:
    invite = alice.invite(f"sip:{number}@example.com")
    came = gateway.expect("INVITE")
    assert came.uri == f"sip:+4930123456@{gateway.address}:{gateway.port}"
    assert came.header("To") == f"<sip:{number}@example.com>"
    gateway.reply(came, 486)
    assert alice.final(invite).status == 486
    gateway.expect("ACK")


@pytest.mark.parametrize("number", LOCAL)
def test_other_numbers_are_our_users(
    server: KamailioServer, alice: Client, gateway: Client, number: str
) -> None:
    assert alice.ask("INVITE", f"sip:{number}@example.com").status == 404
    with Client(server, number, address="127.0.0.3") as phone:
        assert phone.register().status == 200
        invite = alice.invite(phone.uri)
        phone.reply(phone.expect("INVITE"), 486)
        assert alice.final(invite).status == 486
        server.rpc("ul.rm", "location", number)
    assert gateway.unread() == []


def test_the_gateway_is_for_our_users(alice: Client, gateway: Client) -> None:
    stranger = {"From": "<sip:mallory@example.net>;tag=1"}
    reply = alice.ask("INVITE", "sip:+4930123456@example.com", headers=stranger)
    assert (reply.status, reply.reason) == (403, "Not Allowed")
    assert gateway.unread() == []


def test_another_gateway_can_be_named_while_the_server_runs(
    server: KamailioServer, alice: Client, gateway: Client
) -> None:
    number = "+4930123456"
    with Client(server, "other", address="127.0.0.9") as other:
        try:
            server.rpc("cfg.set_now_string", "pstn", "gw_ip", other.address)
            server.rpc("cfg.set_now_string", "pstn", "gw_port", str(other.port))
            for _ in server.workers():
                invite = alice.invite(f"sip:{number}@example.com")
                came = other.expect("INVITE")
                assert came.uri == f"sip:{number}@{other.address}:{other.port}"
                other.reply(came, 486)
                assert alice.final(invite).status == 486
                other.expect("ACK")
        finally:
            server.rpc("cfg.set_now_string", "pstn", "gw_ip", gateway.address)
            server.rpc("cfg.set_now_string", "pstn", "gw_port", str(gateway.port))
    assert gateway.unread() == []


def test_without_a_gateway_the_log_says_so(start: Servers) -> None:
    server = start("WITH_PSTN")
    with Client(server, "alice", address="127.0.0.2") as alice:
        assert alice.ask("INVITE", "sip:+4930123456@example.com").status == 404
        server.wait_for_log(COMPLAINT)
