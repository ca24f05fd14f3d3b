"""What the stock file's other switches do: gateways, other names, voicemail, presence, trusted addresses, HTTP."""

from __future__ import annotations

import pytest

from kemi.settings import profile
from kemi.testing.builders import invite, reply, request
from kemi.testing.fake_auth import authorize
from kemi.testing.ksr import FakeKSR
from kemi.testing.loaded import MODULES
from kemi.testing.plugin import using
from tests.unit.serving import HTABLES, MakeServer, Server

GATEWAY = {"pstn.gw_ip": "198.51.100.200", "pstn.gw_port": ""}
MAILBOX = {"voicemail.srv_ip": "198.51.100.150", "voicemail.srv_port": "5070"}
STRANGER = "sip:eve@elsewhere.example"


def _relayed_to(server: Server, user: str, **more: str) -> str | None:
    """The request-URI with which an INVITE left, None if it was answered."""
    server.receive(invite(user, **more))  # type: ignore[arg-type]
    return server.ksr.relayed[-1].message.uri if server.ksr.relayed else None


@pytest.mark.parametrize(
    ("number", "uri"),
    [
        ("+4930123456", "sip:+4930123456@198.51.100.200"),
        ("004930123456", "sip:+4930123456@198.51.100.200"),
        ("+0930123456", None),
        ("+123", None),
        ("030123456", None),
    ],
)
def test_numbers_in_international_format_go_to_the_gateway(
    make_server: MakeServer, ksr: FakeKSR, number: str, uri: str | None
) -> None:
    ksr.custom |= GATEWAY
    assert _relayed_to(make_server("WITH_PSTN"), number) == uri


def test_the_gateway_is_for_our_users(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.custom |= GATEWAY
    answer = make_server("WITH_PSTN").receive(invite("+4930123456", from_=STRANGER))
    assert answer is not None
    assert (answer.code, answer.reason) == (403, "Not Allowed")


def test_a_gateway_may_have_a_port(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.custom |= GATEWAY | {"pstn.gw_port": "5080"}
    assert _relayed_to(make_server("WITH_PSTN"), "+4930123456") == "sip:+4930123456@198.51.100.200:5080"


def test_without_a_gateway_the_log_says_so(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.custom |= dict.fromkeys(GATEWAY, "")
    assert _relayed_to(make_server("WITH_PSTN"), "+4930123456") is None
    assert any("pstn.gw_ip is empty" in line.text for line in ksr.log)


@pytest.mark.parametrize(("define", "function", "dialled"), [
    ("WITH_SPEEDDIAL", "speeddial.lookup", "42"),
    ("WITH_ALIASDB", "alias_db.lookup", "boss"),
])  # fmt: skip
def test_other_names_lead_to_a_user(
    make_server: MakeServer, ksr: FakeKSR, define: str, function: str, dialled: str
) -> None:
    server = make_server(define)
    server.register("bob", "sip:bob@198.51.100.20:5060")

    def is_bob(*_: object) -> int:
        ksr.call("seturi", "sip:bob@example.com")
        return 1

    ksr.answer(function, is_bob)
    assert _relayed_to(server, dialled) == "sip:bob@198.51.100.20:5060"


@pytest.mark.parametrize(("define", "function", "dialled"), [
    ("WITH_SPEEDDIAL", "speeddial.lookup", "42"),
    ("WITH_ALIASDB", "alias_db.lookup", "boss"),
])  # fmt: skip
def test_other_names_may_lead_elsewhere(
    make_server: MakeServer, ksr: FakeKSR, define: str, function: str, dialled: str
) -> None:
    def is_elsewhere(*_: object) -> int:
        ksr.call("seturi", "sip:carol@elsewhere.example")
        return 1

    ksr.answer(function, is_elsewhere)
    assert _relayed_to(make_server(define), dialled) == "sip:carol@elsewhere.example"
    assert ksr.relayed[-1].message.header("P-Hint") == "outbound"


def test_only_two_digits_are_a_speed_dial(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server("WITH_SPEEDDIAL")
    for user in ("4", "421", "bob", "4b"):
        server.receive(invite(user))
    assert not ksr.called("speeddial.lookup")


def test_who_is_offline_has_voicemail(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.custom |= MAILBOX
    assert _relayed_to(make_server("WITH_VOICEMAIL"), "bob") == "sip:bob@198.51.100.150:5070"


def test_only_calls_go_to_voicemail(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.custom |= MAILBOX
    answer = make_server("WITH_VOICEMAIL").receive(request("MESSAGE", "sip:bob@example.com"))
    assert answer is not None
    assert answer.code == 404


@pytest.mark.parametrize("status", [486, 408])
def test_who_is_busy_or_silent_has_voicemail(make_server: MakeServer, ksr: FakeKSR, status: int) -> None:
    ksr.custom |= MAILBOX
    server = make_server("WITH_VOICEMAIL")
    server.register("bob", "sip:bob@198.51.100.20:5060")
    server.receive(invite("bob"))
    server.fail(status)
    assert ksr.called("seturi")[-1] == ("sip:bob@198.51.100.150:5070",)
    assert ksr.called("tm.t_relay") == [(), ()]
    assert ksr.now.callbacks["failure_route"] == "ksr_on_failure"


@pytest.mark.parametrize(("status", "cancelled"), [(480, False), (487, True), (408, True)])
def test_other_failures_go_to_the_caller(
    make_server: MakeServer, ksr: FakeKSR, status: int, cancelled: bool
) -> None:
    ksr.custom |= MAILBOX
    server = make_server("WITH_VOICEMAIL", "WITH_BLOCK3XX", "WITH_BLOCK401407")
    server.register("bob", "sip:bob@198.51.100.20:5060")
    server.receive(invite("bob"))
    ksr.fail(status, cancelled=cancelled)
    server.handler.ksr_on_failure(None)
    assert len(ksr.called("tm.t_relay")) == 1
    assert not ksr.replies


def test_message_waiting_is_the_voicemail_servers(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.custom |= MAILBOX
    server = make_server("WITH_VOICEMAIL")
    subscription = request("SUBSCRIBE", "sip:bob@example.com", headers={"Event": "message-summary"})
    assert server.receive(subscription) is None
    assert ksr.relayed[-1].message.uri == "sip:bob@198.51.100.150:5070"


@pytest.mark.parametrize(("define", "status", "blocked"), [
    ("WITH_BLOCK3XX", 302, True),
    ("WITH_BLOCK3XX", 401, False),
    ("WITH_BLOCK401407", 401, True),
    ("WITH_BLOCK401407", 407, True),
    ("WITH_BLOCK401407", 302, False),
])  # fmt: skip
def test_some_answers_are_hidden(
    make_server: MakeServer, ksr: FakeKSR, define: str, status: int, blocked: bool
) -> None:
    server = make_server(define)
    server.register("bob", "sip:bob@198.51.100.20:5060")
    server.receive(invite("bob"))
    server.fail(status)
    assert [(one.code, one.reason) for one in ksr.replies] == ([(404, "Not found")] if blocked else [])


@pytest.mark.parametrize(("method", "function"), [
    ("PUBLISH", "presence.handle_publish"),
    ("SUBSCRIBE", "presence.handle_subscribe"),
])  # fmt: skip
def test_the_presence_server_answers(
    make_server: MakeServer, ksr: FakeKSR, method: str, function: str
) -> None:
    ksr.answer(function, 1)
    make_server("WITH_PRESENCE").receive(request(method, "sip:bob@example.com"))
    assert ksr.called(function) == [()]
    assert ksr.called("tm.t_newtran") == [()]
    assert ksr.called("tm.t_release") == [()]
    assert not ksr.called("textopsx.msg_apply_changes")


def test_presence_may_see_what_rules_changed(make_server: MakeServer, ksr: FakeKSR) -> None:
    make_server("WITH_PRESENCE", "WITH_MSGREBUILD").receive(request("PUBLISH", "sip:bob@example.com"))
    assert ksr.called("textopsx.msg_apply_changes") == [()]


@pytest.fixture
def trusting(make_server: MakeServer, ksr: FakeKSR) -> Server:
    """A server that trusts the source address."""
    ksr.answer("permissions.allow_source_address", 1)
    made = make_server("WITH_AUTH", "WITH_IPAUTH")
    made.register("bob", "sip:bob@198.51.100.20:5060")
    return made


@pytest.mark.parametrize(("to", "from_"), [
    ("bob", "alice"),
    ("bob", STRANGER),
    ("sip:carol@elsewhere.example", STRANGER),
])  # fmt: skip
def test_a_trusted_address_needs_no_password(trusting: Server, ksr: FakeKSR, to: str, from_: str) -> None:
    target = to if to.startswith("sip:") else f"sip:{to}@example.com"
    assert trusting.receive(request("INVITE", target, from_=from_)) is None
    assert len(ksr.relayed) == 1


def test_even_a_trusted_address_registers_with_a_password(trusting: Server) -> None:
    answer = trusting.receive(request("REGISTER", "sip:example.com"))
    assert answer is not None
    assert answer.code == 401


def test_an_address_without_trust_is_asked(make_server: MakeServer) -> None:
    answer = make_server("WITH_AUTH", "WITH_IPAUTH").receive(invite("bob"))
    assert answer is not None
    assert answer.code == 407


def test_users_log_in_as_before_where_addresses_are_trusted(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server("WITH_AUTH", "WITH_IPAUTH", settings=profile("stock"))
    ksr.subscribers, ksr.nonces = {"alice": "secret"}, {"kemi-nonce-1"}
    server.register("bob", "sip:bob@198.51.100.20:5060")
    assert server.receive(authorize(invite("bob"), "alice", "secret")) is None
    assert len(ksr.relayed) == 1


def test_rtpengine_takes_the_place_of_rtpproxy(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.answer("rtpengine.rtpengine_manage", 1)
    server = make_server("WITH_NAT", "WITH_RTPENGINE")
    server.register("bob", "sip:bob@198.51.100.20:5060")
    server.receive(invite("bob", nated=True))
    server.receive_reply(reply(200, ksr.relayed[-1].message, body="v=0\r\n"))
    offer, answer = (flags for (flags,) in ksr.called("rtpengine.rtpengine_manage"))
    assert offer == "SIP-source-address replace-origin replace-session-connection"
    assert answer == "replace-origin replace-session-connection"
    assert not ksr.media


def test_a_dead_rtpengine_is_noticed(make_server: MakeServer, ksr: FakeKSR) -> None:
    ksr.answer("rtpengine.rtpengine_manage", -1)
    ksr.answer("textops.has_body_type", 1)
    server = make_server("WITH_NAT", "WITH_RTPENGINE")
    server.register("bob", "sip:bob@198.51.100.20:5060")
    answer = server.receive(invite("bob", nated=True))
    assert answer is not None
    assert answer.code == 503


def test_every_call_may_be_relayed(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server("WITH_NAT", "WITH_RTPRELAY")
    server.register("bob", "sip:bob@198.51.100.20:5060")
    server.receive(invite("bob"))
    assert ksr.media == [("offer", "cor")]


@pytest.mark.parametrize(("source", "path", "expected"), [
    ("127.0.0.1", "/RPC", None),
    ("127.0.0.1", "/other", (200, "OK", "text/html", "<html><body>Wrong URL /other</body></html>")),
    ("192.0.2.7", "/RPC", (403, "Forbidden", "text/html", "<html><body>Not allowed from 192.0.2.7</body></html>")),
])  # fmt: skip
def test_json_rpc_is_for_this_machine(
    make_server: MakeServer, ksr: FakeKSR, source: str, path: str, expected: tuple[object, ...] | None
) -> None:
    server = make_server("WITH_JSONRPC")
    message = request("OPTIONS", path)
    message.source = (source, 40000)
    ksr.receive(message)
    assert server.handler.ksr_event(None, "xhttp:request") == 1
    assert ksr.called("xhttp.xhttp_reply") == ([expected] if expected else [])
    assert len(ksr.called("jsonrpcs.dispatch")) == (0 if expected else 1)


def test_calls_are_counted_where_kamailio_can() -> None:
    with using(FakeKSR("6.0", modules=[*MODULES, "dlgs"], htables=HTABLES)) as ksr:
        from kemi.router import Router
        from kemi.settings import Settings

        server = Server(ksr, Settings(), Router)
        server.register("bob", "sip:bob@198.51.100.20:5060")
        server.receive(invite("bob"))
        assert ksr.called("dlgs.dlgs_init") == [
            ("sip:alice@example.com", "sip:bob@example.com", "srcip=192.0.2.10")
        ]


def test_refer_is_record_routed_from_5_8_on(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server()
    server.register("bob", "sip:bob@198.51.100.20:5060")
    server.receive(request("REFER", "sip:bob@example.com"))
    assert not ksr.called("rr.record_route")
    with using(FakeKSR("6.0", htables=HTABLES)) as newer:
        from kemi.router import Router
        from kemi.settings import Settings

        server = Server(newer, Settings(), Router)
        server.register("bob", "sip:bob@198.51.100.20:5060")
        server.receive(request("REFER", "sip:bob@example.com"))
        assert newer.called("rr.record_route") == [()]
