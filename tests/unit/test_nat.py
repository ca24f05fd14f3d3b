"""NAT: detection, registration, aliases, the relay's part in each message."""

from __future__ import annotations

import pytest

from kemi.flags import BranchFlag, Flag
from kemi.settings import MediaSettings, NatSettings, Settings, profile
from kemi.testing.builders import (
    PRIVATE,
    PUBLIC,
    SERVER,
    ack,
    bye,
    in_dialog,
    invite,
    register,
    reply,
    request,
    sdp,
)
from kemi.testing.ksr import FakeKSR
from kemi.testing.message import Message
from tests.unit.serving import MakeServer, Server

NATED_BOB = "sip:bob@192.168.7.20:5060"
BOBS_HOLE = ("198.51.100.20", 33333)
NATED_ROUTE = f"<sip:{SERVER};lr;ftag=from-1;nat=yes>"


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    """A server with WITH_NAT; bob is registered from behind a NAT, carol from a public address."""
    made = make_server("WITH_NAT")
    made.register("bob", NATED_BOB, received="sip:198.51.100.20:33333", nated=True)
    made.register("carol", "sip:carol@198.51.100.30:5060")
    return made


def test_a_register_from_behind_a_nat_is_stored_with_its_source(server: Server, ksr: FakeKSR) -> None:
    answer = server.receive(register("alice", nated=True))
    (contact,) = ksr.location["alice"]
    assert contact.uri == f"sip:alice@{PRIVATE}:5060"
    assert contact.received == f"sip:{PUBLIC}:40000"
    assert contact.flags == {BranchFlag.NATED_DESTINATION}
    assert answer is not None
    assert any(f'received="sip:{PUBLIC}:40000"' in header for header in answer.headers)


def test_a_register_from_a_public_address_is_stored_as_it_is(server: Server, ksr: FakeKSR) -> None:
    server.receive(register("alice"))
    (contact,) = ksr.location["alice"]
    assert (contact.received, contact.flags) == (None, frozenset())


def test_options_keepalives_are_asked_for_by_define(make_server: MakeServer, ksr: FakeKSR) -> None:
    make_server("WITH_NAT", "WITH_NATSIPPING").receive(register("alice", nated=True))
    (contact,) = ksr.location["alice"]
    assert contact.flags == {BranchFlag.NATED_DESTINATION, BranchFlag.OPTIONS_KEEPALIVE}


def test_without_the_define_nothing_is_looked_for(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server()
    server.receive(register("alice", nated=True))
    assert not ksr.called("nathelper.nat_uac_test")
    server.register("bob", NATED_BOB)
    server.receive(invite("bob", nated=True))
    assert not ksr.media


def test_the_contact_of_a_nated_caller_gets_an_alias(server: Server, ksr: FakeKSR) -> None:
    server.receive(invite("carol", nated=True))
    (relay,) = ksr.relayed
    assert relay.message.header("Contact") == f"<sip:alice@{PRIVATE}:5060;alias={PUBLIC}~40000~1>"
    assert Flag.NATED_SOURCE in relay.flags


def test_a_proxy_in_between_is_not_the_caller(server: Server, ksr: FakeKSR) -> None:
    call = invite("carol", nated=True)
    call.headers.insert(0, ("Via", "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK-edge"))
    server.receive(call)
    (relay,) = ksr.relayed
    assert relay.message.header("Contact") == f"<sip:alice@{PRIVATE}:5060>"
    assert Flag.NATED_SOURCE in relay.flags


TESTS = [
    ("a private Contact", ("contact",), {"contact": f"<sip:alice@{PRIVATE}:5060>"}, True),
    ("a public Contact", ("contact",), {}, False),
    ("another Via address", ("via_source",), {"via": PRIVATE}, True),
    ("a private Via", ("via",), {"via": PRIVATE}, True),
    ("another source port", ("source_port",), {"port": 40000}, True),
    ("the source port of the Via", ("source_port",), {}, False),
    ("a private source", ("source",), {"source": "10.9.8.7"}, True),
    ("a public source", ("source",), {}, False),
    ("private media", ("sdp",), {"sdp": PRIVATE}, True),
    ("public media", ("sdp",), {}, False),
    ("a private Contact, not asked for", ("source",), {"contact": f"<sip:alice@{PRIVATE}:5060>"}, False),
]


@pytest.mark.parametrize(
    ("tests", "claims", "nated"), [row[1:] for row in TESTS], ids=[row[0] for row in TESTS]
)
def test_each_nat_test_by_its_name(
    make_server: MakeServer, ksr: FakeKSR, tests: tuple[str, ...], claims: dict[str, str | int], nated: bool
) -> None:
    server = make_server("WITH_NAT", settings=Settings(nat=NatSettings(tests=tests)))  # type: ignore[arg-type]
    server.register("carol", "sip:carol@198.51.100.30:5060")
    server.receive(_call(claims))
    assert (Flag.NATED_SOURCE in ksr.now.flags) is nated


def _call(claims: dict[str, str | int]) -> Message:
    call = invite("carol")
    call.body = sdp(str(claims.get("sdp", PUBLIC)))
    if contact := claims.get("contact"):
        call = call.without_header("Contact").with_header("Contact", str(contact))
    if via := claims.get("via"):
        call.headers[0] = ("Via", f"SIP/2.0/UDP {via}:5060;branch=z9hG4bK-test-{via};rport")
    call.source = (str(claims.get("source", PUBLIC)), int(claims.get("port", 5060)))
    return call


def test_the_default_is_all_six_classic_tests() -> None:
    assert Settings().nat.bits == 63
    assert profile("stock").nat.bits == 19


def test_a_call_to_a_nated_phone_goes_to_its_hole(server: Server, ksr: FakeKSR) -> None:
    server.receive(invite("bob"))
    (relay,) = ksr.relayed
    assert relay.destination == "sip:198.51.100.20:33333"


CALLS = [
    ("both public", "carol", False, []),
    ("caller nated", "carol", True, [("offer", "co")]),
    ("callee nated", "bob", False, [("offer", "cor")]),
    ("both nated", "bob", True, [("offer", "co")]),
]


@pytest.mark.parametrize(("to", "nated", "media"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS])
def test_media_is_relayed_if_either_side_is_nated(
    server: Server, ksr: FakeKSR, to: str, nated: bool, media: list[tuple[str, str]]
) -> None:
    server.receive(invite(to, nated=nated))
    assert ksr.media == media


def test_the_dialog_of_a_nated_call_is_marked(server: Server, ksr: FakeKSR) -> None:
    server.receive(invite("carol"))
    server.receive(invite("bob"))
    assert ksr.called("rr.add_rr_param") == [(";nat=yes",)]


def test_the_answer_of_a_nated_callee_gets_an_alias_and_the_relay(server: Server, ksr: FakeKSR) -> None:
    call = invite("bob")
    server.receive(call)
    answer = reply(200, call, contact=f"<{NATED_BOB}>", body=sdp("192.168.7.20"), source=BOBS_HOLE)
    server.receive_reply(answer)
    assert ksr.media == [("offer", "cor"), ("answer", "co")]
    assert ksr.now.outgoing.header("Contact") == f"<{NATED_BOB};alias=198.51.100.20~33333~1>"


def test_the_answer_of_a_public_callee_keeps_its_contact(server: Server, ksr: FakeKSR) -> None:
    call = invite("carol", nated=True)
    server.receive(call)
    server.receive_reply(reply(200, call, body=sdp("198.51.100.30")))
    assert ksr.media == [("offer", "co"), ("answer", "cor")]
    assert ";alias=" not in (ksr.now.outgoing.header("Contact") or "")


def test_early_media_is_relayed(server: Server, ksr: FakeKSR) -> None:
    call = invite("bob")
    server.receive(call)
    server.receive_reply(reply(183, call, body=sdp("192.168.7.20"), source=BOBS_HOLE))
    assert ksr.media[-1] == ("answer", "co")


def test_a_failed_reply_leaves_the_relay_to_the_failure_callback(server: Server, ksr: FakeKSR) -> None:
    call = invite("bob")
    server.receive(call)
    server.receive_reply(reply(486, call, source=BOBS_HOLE))
    assert ksr.media == [("offer", "cor"), ("delete", "cor")]  # once, and not twice


def test_a_failed_call_releases_the_relay(server: Server, ksr: FakeKSR) -> None:
    server.receive(invite("bob"))
    server.fail(486)
    assert ksr.media[-1][0] == "delete"


def test_bye_releases_the_relay(server: Server, ksr: FakeKSR) -> None:
    server.receive(bye(route=NATED_ROUTE))
    assert [command for command, _ in ksr.media] == ["delete"]


def test_a_request_in_the_dialog_follows_the_alias(server: Server, ksr: FakeKSR) -> None:
    server.receive(bye(f"{NATED_BOB};alias=198.51.100.20~33333~1", route=NATED_ROUTE))
    (relay,) = ksr.relayed
    assert relay.message.uri == NATED_BOB
    assert relay.destination.startswith("sip:198.51.100.20:33333")


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "PRACK"])
def test_an_offer_in_a_nated_dialog_is_relayed(server: Server, ksr: FakeKSR, method: str) -> None:
    server.receive(in_dialog(method, route=NATED_ROUTE, body=sdp()))
    assert ksr.media == [("offer", "cor")]
    assert ksr.called("set_forward_no_connect")


def test_a_dialog_without_nat_is_left_alone(server: Server, ksr: FakeKSR) -> None:
    server.receive(in_dialog("INVITE", body=sdp()))
    assert not ksr.media


def test_the_ack_with_the_answer_to_a_late_offer_is_relayed(server: Server, ksr: FakeKSR) -> None:
    server.receive(in_dialog("ACK", route=NATED_ROUTE, body=sdp()))
    assert ksr.media == [("answer", "cor")]


def test_prack_is_not_managed_under_the_stock_profile(make_server: MakeServer, ksr: FakeKSR) -> None:
    make_server("WITH_NAT", settings=profile("stock")).receive(
        in_dialog("PRACK", route=NATED_ROUTE, body=sdp())
    )
    assert not ksr.media


@pytest.mark.parametrize(("name", "commands"), [("default", ["offer"]), ("stock", ["offer", "delete"])])
def test_a_refused_reinvite_keeps_its_media_unless_stock(
    make_server: MakeServer, ksr: FakeKSR, name: str, commands: list[str]
) -> None:
    server = make_server("WITH_NAT", settings=profile(name))
    server.receive(in_dialog("INVITE", route=NATED_ROUTE, body=sdp()))
    server.fail(488)
    assert [command for command, _ in ksr.media] == commands


def _without_relay(make_server: MakeServer, ksr: FakeKSR, policy: str) -> Server:
    ksr.answer("rtpproxy.rtpproxy_manage", -3)
    settings = Settings(media=MediaSettings(unavailable="reject" if policy == "reject" else "pass"))
    server = make_server("WITH_NAT", settings=settings)
    server.register("bob", NATED_BOB, nated=True)
    server.register("carol", "sip:carol@198.51.100.30:5060")
    return server


def test_without_a_relay_a_nated_call_is_rejected(make_server: MakeServer, ksr: FakeKSR) -> None:
    answer = _without_relay(make_server, ksr, "reject").receive(invite("bob"))
    assert answer is not None
    assert (answer.code, answer.reason) == (503, "No media relay")
    assert not ksr.relayed
    assert any("no media relay answers" in line.text for line in ksr.log if line.level == "err")


def test_without_a_relay_a_call_passes_by_policy(make_server: MakeServer, ksr: FakeKSR) -> None:
    assert _without_relay(make_server, ksr, "pass").receive(invite("bob")) is None
    assert len(ksr.relayed) == 1
    assert any("no media relay answers" in line.text for line in ksr.log if line.level == "err")


def test_without_a_relay_a_public_call_is_left_alone(make_server: MakeServer, ksr: FakeKSR) -> None:
    assert _without_relay(make_server, ksr, "reject").receive(invite("carol")) is None
    assert len(ksr.relayed) == 1


@pytest.mark.parametrize("message", [bye(route=NATED_ROUTE), in_dialog("SUBSCRIBE", route=NATED_ROUTE)])
def test_without_a_relay_what_offers_nothing_passes(
    make_server: MakeServer, ksr: FakeKSR, message: Message
) -> None:
    assert _without_relay(make_server, ksr, "reject").receive(message) is None
    assert len(ksr.relayed) == 1


def test_an_ack_to_a_failure_offers_nothing(server: Server, ksr: FakeKSR) -> None:
    call = invite("nobody", nated=True)
    server.receive(call)
    server.receive(ack(call))
    assert not ksr.media


def test_a_message_of_a_nated_user_gets_its_alias_too(server: Server, ksr: FakeKSR) -> None:
    server.receive(request("SUBSCRIBE", "sip:carol@example.com", nated=True))
    (relay,) = ksr.relayed
    assert ";alias=" in (relay.message.header("Contact") or "")
