"""Messages of the test kit: real SIP text in and out."""

from __future__ import annotations

import pytest

from kemi.testing.builders import ack, bye, cancel, invite, register, reply, request
from kemi.testing.message import Message
from kemi.testing.uri import Uri, address_param, address_uri, addresses

MESSAGES = {
    "invite": invite("bob"),
    "nated invite": invite("bob", from_="sip:carol@other.example", nated=True),
    "register": register("alice"),
    "bye": bye(),
    "cancel": cancel(invite()),
    "ack": ack(invite()),
    "ringing": reply(180),
    "not utf-8": Message.parse(b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nUser-Agent: \xff\0\r\n\r\n"),
}


@pytest.mark.parametrize("label", MESSAGES)
def test_a_message_survives_the_wire(label: str) -> None:
    message = MESSAGES[label]
    again = Message.parse(
        bytes(message), source=message.source, destination=message.destination, transport=message.transport
    )
    assert again == message


@pytest.mark.parametrize(
    "text", ["INVITE sip:a\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "OPTIONS sip:a SIP/2.0\r\nVia\r\n\r\n"]
)
def test_what_is_no_sip_message_is_refused_with_what_was_found(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Message.parse(text)


def test_folded_and_compact_headers_are_found() -> None:
    text = "OPTIONS sip:a SIP/2.0\r\nv: SIP/2.0/UDP b;branch=z9\r\nSubject: one\r\n two\r\nf: <sip:x@y>;tag=1\r\n\r\n"
    message = Message.parse(text)
    assert message.via == ("b", None, "z9")
    assert message.header("Subject") == "one two"
    assert message.tag("From") == "1"
    assert message.address("From") == Uri("sip", "x", "y")


def test_a_nated_phone_knows_only_its_private_address() -> None:
    call = invite("bob", nated=True)
    assert call.address("Contact") == Uri("sip", "alice", "192.168.1.10", 5060)
    assert call.source == ("192.0.2.10", 40000)
    assert "c=IN IP4 192.168.1.10" in call.body


def test_a_cancel_and_an_ack_carry_the_branch_of_their_invite() -> None:
    call = invite()
    for follow_up in (cancel(call), ack(call)):
        assert follow_up.via == call.via
        assert follow_up.header("Call-ID") == call.header("Call-ID")
    assert cancel(call).header("CSeq") == "1 CANCEL"
    assert ack(call).tag("To") == "to-1"


def test_a_reply_has_our_via_on_top_of_the_callers() -> None:
    call = invite()
    answer = reply(200, call)
    assert [via.partition(";")[0] for via in answer.header_values("Via")] == [
        "SIP/2.0/UDP 203.0.113.1:5060",
        "SIP/2.0/UDP 192.0.2.10:5060",
    ]
    assert (answer.method, answer.status, answer.reason, answer.tag("To")) == ("INVITE", 200, "OK", "to-1")


def test_a_header_can_be_set_and_taken_off_without_touching_the_original() -> None:
    original = request("OPTIONS", "sip:example.com")
    changed = original.with_header("User-Agent", "scanner")
    assert changed.header_values("User-Agent") == ["scanner"]
    assert original.header("User-Agent") == "Phone/1.0"
    assert changed.without_header("user-agent").header("User-Agent") is None


URIS = {
    "sip:bob@example.com": Uri("sip", "bob", "example.com"),
    "SIPS:example.com:5061": Uri("sips", "", "example.com", 5061),
    "sip:bob:pw@[2001:db8::1]:5060;transport=tcp": Uri("sip", "bob", "[2001:db8::1]", 5060, ";transport=tcp"),
    "sip:b;x=1@h;lr?a=b": Uri("sip", "b;x=1", "h", None, ";lr"),
}


@pytest.mark.parametrize("text", [text for text in URIS if "x=1" not in text])
def test_a_uri_is_taken_apart(text: str) -> None:
    assert Uri.parse(text) == URIS[text]


def test_what_is_no_uri_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a SIP URI such as .*, found 'tel:\+1'"):
        Uri.parse("tel:+1")
    assert Uri.find("garbage<<") is None


def test_addresses_are_split_at_commas_outside_brackets_and_quotes() -> None:
    header = '"A, B" <sip:a@h;p=1,2>;tag=x, <sip:b@h>'
    assert addresses(header) == ['"A, B" <sip:a@h;p=1,2>;tag=x', "<sip:b@h>"]
    assert address_uri(addresses(header)[0]) == "sip:a@h;p=1,2"
    assert address_param(addresses(header)[0], "tag") == "x"
    assert address_param("sip:c@h;tag=y", "tag") == "y"
