"""Reading a SIP message as it stood on the wire."""

import pytest

from kemi.lab.report.message import Message

INVITE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\n"
    b"v: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bK2, SIP/2.0/UDP 192.168.1.2;rport;branch=z9hG4bK1\r\n"
    b"i: abc\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"Subject: a long\r\n  one\r\n"
    b"\r\n"
    b"v=0\r\ns=-\r\n"
)


def test_compact_names_are_read_as_their_long_form() -> None:
    message = Message.parse(INVITE)
    assert message.call_id == "abc"
    assert message.branches == ["z9hG4bK2", "z9hG4bK1"]


def test_a_folded_header_is_one_line() -> None:
    assert Message.parse(INVITE).value("subject") == "a long one"


def test_a_reply_knows_the_method_it_answers() -> None:
    reply = Message.parse(b"SIP/2.0 180 Ringing\r\nCSeq: 7 INVITE\r\n\r\n")
    assert (reply.is_request, reply.method, reply.status, reply.title) == (
        False,
        "INVITE",
        180,
        "180 Ringing",
    )


def test_the_lines_are_the_message() -> None:
    assert Message.parse(INVITE).lines[-3:] == ["", "v=0", "s=-"]


def test_bytes_that_are_not_utf8_can_be_looked_at() -> None:
    message = Message.parse(b"OPTIONS sip:a SIP/2.0\r\nUser-Agent: T\xe9l\r\n\r\n")
    assert message.value("User-Agent") == r"T\xe9l"


def test_what_is_not_sip_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"expected a SIP request line or status line, found 'GET / HTTP/1.1'"
    ):
        Message.parse(b"GET / HTTP/1.1\r\n\r\n")
