"""Where a phone is: what Kamailio stores and answers when it registers, leaves, expires, or the server restarts."""

import time
from pathlib import Path

import pytest

from kemi.lab.lab import Lab
from kemi.lab.nat import FULL_CONE, PORT_RESTRICTED, RESTRICTED, SYMMETRIC, Nat
from kemi.lab.phone import Phone
from kemi.lab.report import wire
from kemi.lab.report.wire import Endpoint
from tests.nat.conversation import eventually, phone, require_nothing_left, talk

# -- what is stored and answered


@pytest.mark.parametrize("nat", [FULL_CONE, SYMMETRIC], ids=lambda nat: nat.name)
def test_the_location_of_a_phone_behind_a_nat_is_where_its_register_came_from(lab: Lab, nat: Nat) -> None:
    server = lab.kamailio()
    bob, source = _register(lab, nat)
    contact, received = f"@{bob.host.address}:5060", f"sip:{source}"
    assert (source.address, bob.host.address[:8]) == (bob.party.public_address, "192.168.")

    [row] = server.location_rows()
    assert row["contact"].endswith(contact)
    assert (row["username"], row["received"], row["socket"]) == ("bob", received, f"udp:{server.proxy}")

    [dumped] = server.rpc("ul.dump")["Domains"][0]["Domain"]["AoRs"]
    for [entry] in ([one["Contact"] for one in dumped["Info"]["Contacts"]], server.contacts("bob")):
        assert entry["Address"].endswith(contact)
        assert (entry["Received"], entry["Socket"]) == (received, f"udp:{server.proxy}")


def test_the_location_of_a_public_phone_is_its_contact(lab: Lab) -> None:
    server = lab.kamailio()
    bob, source = _register(lab, None)
    [row] = server.location_rows()
    assert row["contact"].endswith(f"@{source}")
    assert source == Endpoint(bob.host.address, 5060)
    assert (row["received"], row["socket"]) == (None, f"udp:{server.proxy}")


@pytest.mark.parametrize("nat", [FULL_CONE, SYMMETRIC], ids=lambda nat: nat.name)
def test_a_phone_behind_a_nat_is_told_where_it_was_seen(lab: Lab, nat: Nat) -> None:
    """`rport` and `received` in Via (RFC 3581, section 4), and `received` in Contact, as Kamailio shows it."""
    lab.kamailio()
    bob, source = _register(lab, nat)
    [ok] = [reply for reply in bob.received("REGISTER") if reply.status == 200]
    via, contact = ok.value("Via"), ok.value("Contact")
    assert f";rport={source.port}" in via
    assert f";received={source.address}" in via
    assert f"@{bob.host.address}:5060>" in contact
    assert f';received="sip:{source}"' in contact


def _register(lab: Lab, nat: Nat | None) -> tuple[Phone, Endpoint]:
    """bob, and where the server saw his REGISTER come from."""
    arriving = lab.capture(lab.server.host, Path("server.pcap"))
    bob = phone(lab, "bob", nat)
    sources = {packet.source for packet in arriving.sip() if packet.message.first_line.startswith("REGISTER")}
    assert len(sources) == 1, f"expected one source of REGISTER, found {sources}"
    return bob, sources.pop()


# -- the end of a registration


def test_a_phone_that_logs_out_is_gone(lab: Lab) -> None:
    server = lab.kamailio()
    alice, bob = phone(lab, "alice", FULL_CONE), phone(lab, "bob", SYMMETRIC)
    bob.unregister()
    assert server.contacts("bob") == []
    assert [row["username"] for row in server.location_rows()] == ["alice"]
    assert alice.call(bob).failed().startswith("404")
    require_nothing_left(lab)


def test_a_registration_that_has_expired_is_not_called(lab: Lab) -> None:
    server = lab.kamailio()
    alice = phone(lab, "alice", FULL_CONE)
    server.rpc("cfg.set_now_int", "registrar", "max_expires", 3)
    bob = phone(lab, "bob", SYMMETRIC)
    assert server.contacts("bob")[0]["Expires"] in (2, 3)
    bob.stop()
    eventually("bob's contact to expire", lambda: server.contacts("bob") == [], seconds=6)
    assert alice.call(bob).failed().startswith("404")
    require_nothing_left(lab)


# -- a restart of the server


@pytest.mark.parametrize("end", ["stop", "kill -9"])
def test_phones_are_reached_after_a_restart_without_registering_anew(lab: Lab, end: str) -> None:
    """Every REGISTER is written to the database before it is answered, and the holes in the NATs are still open."""
    server = lab.kamailio()
    alice, bob = phone(lab, "alice", PORT_RESTRICTED), phone(lab, "bob", SYMMETRIC)
    restarted = time.time()
    (server.stop if end == "stop" else server.kill)()
    server.start()
    call = alice.call(bob)
    call.established()
    talk(call)
    for one in (alice, bob):
        assert one.sent("REGISTER", since=restarted) == []
    bob.hang_up()
    call.closed()
    require_nothing_left(lab)


def test_locations_that_are_in_memory_only_do_not_survive_a_restart(lab: Lab) -> None:
    """The control experiment: it is the database that the test above relies on."""
    server = lab.kamailio(defines=("WITH_NAT", "WITH_AUTH"))
    alice, bob = phone(lab, "alice", PORT_RESTRICTED), phone(lab, "bob", SYMMETRIC)
    assert len(server.contacts("bob")) == 1
    server.restart()
    assert alice.call(bob).failed().startswith("404")


# -- TCP


def test_a_phone_registered_over_tcp_is_called_over_its_connection(lab: Lab) -> None:
    """No NAT lets a new connection in: the one that the phone opened is the only way to it."""
    server = lab.kamailio()
    alice = phone(lab, "alice", SYMMETRIC)
    bob = lab.phone("bob", behind=lab.gateway(RESTRICTED), transport="tcp")
    bob.register()
    [contact] = server.contacts("bob")
    assert contact["Received"].startswith(f"sip:{bob.party.public_address}:")
    assert contact["Received"].endswith(";transport=tcp")
    assert contact["Socket"] == f"tcp:{server.proxy}"
    for caller, callee in ((alice, bob), (bob, alice)):
        call = caller.call(callee)
        call.established()
        talk(call)
        callee.hang_up()
        call.closed()
    require_nothing_left(lab)
    bob.stop()
    seen = wire.read(bob.capture.path).packets
    ways = {frozenset((packet.source, packet.destination)) for packet in seen}
    assert len(ways) == 1, f"expected one connection, found {ways}"
    from_server = [one.message for one in seen if one.source.address == server.host.address]
    assert [one.method for one in from_server if one.is_request] == ["INVITE", "ACK", "BYE"]
