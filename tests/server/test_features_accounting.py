"""Accounting in the database (WITH_ACCDB): tables acc and missed_calls, with the columns the stock file adds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kemi.cli.database import connect
from kemi.deadline import wait_until
from kemi.testing.client import Client
from kemi.testing.dialog import Dialog, call, hang_up
from kemi.testing.digest import authorize
from kemi.testing.message import Message
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from kemi.testing.uri import address_uri

CONTACT_USER = "phone-7"

Row = dict[str, Any]


@pytest.fixture(scope="module")
def server(start_shared: Servers) -> KamailioServer:
    return start_shared("WITH_ACCDB", users={})


@pytest.fixture
def alice(server: KamailioServer) -> Iterator[Client]:
    with Client(server, "alice", address="127.0.0.2") as client:
        yield client


@pytest.fixture
def bob(server: KamailioServer) -> Iterator[Client]:
    """Registered with a Contact whose user is another than his own."""
    with Client(server, "bob", address="127.0.0.3") as client:
        assert client.register(contact=f"<sip:{CONTACT_USER}@{client.address}:{client.port}>").status == 200
        yield client
    server.rpc("ul.rm", "location", "bob")


COLUMNS = (
    "method",
    "from_tag",
    "to_tag",
    "sip_code",
    "sip_reason",
    "src_user",
    "src_domain",
    "src_ip",
    "dst_ouser",
    "dst_user",
    "dst_domain",
)


def rows(server: KamailioServer, table: str, of: Message | Dialog) -> list[Row]:
    """What was written about a call: its INVITE, then its BYE, whichever process was faster to write."""
    call_id = of.call_id if isinstance(of, Dialog) else of.header("Call-ID")
    with connect(str(server.values["DBURL"])) as database:
        found = database.rows(
            f"SELECT {', '.join(COLUMNS)} FROM {table} WHERE callid = ? ORDER BY method DESC", call_id
        )
    return [dict(zip(COLUMNS, row, strict=True)) for row in found]


def wait_for_rows(server: KamailioServer, table: str, of: Message | Dialog, number: int = 1) -> list[Row]:
    """The same, once `number` of them are there: they are written after the reply has gone to the caller."""

    def enough() -> list[Row]:
        found = rows(server, table, of)
        return found if len(found) >= number else []

    found = wait_until(f"{number} rows in table {table}", enough, 3)
    assert len(found) == number
    return found


def test_a_call_leaves_a_row_for_its_begin_and_one_for_its_end(
    server: KamailioServer, alice: Client, bob: Client
) -> None:
    calling, called = call(alice, bob)
    begin, *_ = wait_for_rows(server, "acc", calling)
    assert begin == {
        "method": "INVITE",
        "from_tag": calling.local.partition(";tag=")[2],
        "to_tag": calling.remote.partition(";tag=")[2],
        "sip_code": "200",
        "sip_reason": "OK",
        "src_user": "alice",
        "src_domain": "example.com",
        "src_ip": alice.address,
        "dst_ouser": "bob",
        "dst_user": CONTACT_USER,
        "dst_domain": bob.address,
    }
    hang_up(calling, called)
    _, end = wait_for_rows(server, "acc", calling, 2)
    assert [end[name] for name in ("method", "sip_code", "src_user", "src_ip", "dst_ouser")] == [
        "BYE",
        "200",
        "alice",
        alice.address,
        "bob",
    ]
    assert rows(server, "missed_calls", calling) == []


def test_the_end_is_written_as_the_side_that_hung_up_sees_it(
    server: KamailioServer, alice: Client, bob: Client
) -> None:
    calling, called = call(alice, bob)
    hang_up(called, calling)
    _, end = wait_for_rows(server, "acc", calling, 2)
    assert [end[name] for name in ("method", "src_user", "src_ip", "dst_ouser")] == [
        "BYE",
        "bob",
        bob.address,
        "alice",
    ]


def test_an_end_that_nobody_confirms_is_written_too(
    server: KamailioServer, alice: Client, bob: Client
) -> None:
    calling, _ = call(alice, bob)
    calling.send("BYE")
    bob.reply(bob.expect("BYE"), 481, "Call/Transaction Does Not Exist")
    alice.expect(481)
    _, end = wait_for_rows(server, "acc", calling, 2)
    assert (end["method"], end["sip_code"]) == ("BYE", "481")


@pytest.mark.parametrize("status", [404, 486, 603])
def test_a_refused_call_is_a_missed_call(
    server: KamailioServer, alice: Client, bob: Client, status: int
) -> None:
    invite = alice.invite(bob.uri)
    bob.reply(bob.expect("INVITE"), status)
    assert alice.final(invite).status == status
    (missed,) = wait_for_rows(server, "missed_calls", invite)
    assert (missed["method"], missed["sip_code"], missed["src_user"], missed["dst_ouser"]) == (
        "INVITE",
        str(status),
        "alice",
        "bob",
    )
    assert (missed["dst_user"], missed["dst_domain"]) == (CONTACT_USER, bob.address)
    assert rows(server, "acc", invite) == []


def test_a_cancelled_call_is_a_missed_call(server: KamailioServer, alice: Client, bob: Client) -> None:
    invite = alice.invite(bob.uri)
    came = bob.expect("INVITE")
    bob.reply(came, 180)
    alice.expect(180)
    alice.cancel(invite)
    bob.reply(bob.expect("CANCEL"), 200)
    bob.reply(came, 487)
    assert alice.final(invite).status == 487
    (missed,) = wait_for_rows(server, "missed_calls", invite)
    assert missed["sip_code"] == "487"


def test_what_is_no_call_is_not_accounted_for(server: KamailioServer, alice: Client, bob: Client) -> None:
    message = alice.request("MESSAGE", bob.uri)
    alice.send(message)
    bob.reply(bob.expect("MESSAGE"), 200)
    assert alice.final(message).status == 200
    absent = alice.invite("sip:nobody@example.com")
    assert alice.final(absent).status == 404
    # A call afterwards, so that rows of the others would be there by now.
    calling, called = call(alice, bob)
    hang_up(calling, called)
    wait_for_rows(server, "acc", calling, 2)
    for one in (message, absent):
        assert rows(server, "acc", one) + rows(server, "missed_calls", one) == []


def test_a_call_that_goes_out_is_accounted_for(start: Servers) -> None:
    server = start("WITH_ACCDB", "WITH_AUTH", users={"alice": "correct horse"})
    with (
        Client(server, "alice", address="127.0.0.2") as alice,
        Client(server, "carol", address="127.0.0.4", domain="127.0.0.4") as carol,
    ):
        target = address_uri(carol.contact)
        challenge = alice.ask("INVITE", target)
        assert challenge.status == 407
        invite = authorize(alice.request("INVITE", target), challenge, "alice", "correct horse")
        calling, called = call(alice, carol, invite=invite)
        hang_up(calling, called)
        begin, end = wait_for_rows(server, "acc", calling, 2)
        assert (begin["method"], end["method"]) == ("INVITE", "BYE")
        assert (begin["dst_user"], begin["dst_domain"]) == ("carol", carol.address)
