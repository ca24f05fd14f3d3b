"""Three captures of a call become one ladder."""

from dataclasses import replace

from kemi.lab.report.ladder import Arrow, Ladder, Lane, build
from kemi.lab.report.wire import Endpoint, Packet
from tests.unit.report_samples import ALICE, BOB, recorded


def ladder(server: list[Packet] | None = None, callee: list[Packet] | None = None) -> Ladder:
    at_server = recorded("server") if server is None else server
    return build(ALICE, BOB, recorded("caller"), at_server, recorded("callee") if callee is None else callee)


def arrow(of: Ladder, title: str, start: Lane) -> Arrow:
    return next(arrow for arrow in of.arrows if arrow.message.title == title and arrow.start is start)


def test_a_message_seen_at_phone_and_server_is_one_arrow() -> None:
    arrows = ladder().arrows
    assert len(arrows) == len(recorded("server")) == len(recorded("caller")) + len(recorded("callee"))
    assert all(arrow.sent and arrow.received for arrow in arrows)


def test_the_arrows_tell_the_call_in_order() -> None:
    told = [
        (arrow.message.title, arrow.start.name)
        for arrow in ladder().arrows
        if "INVITE" in arrow.message.key[2]
    ]
    assert told == [
        ("INVITE", "CALLER"),
        ("100 trying -- your call is important to us", "KAMAILIO"),
        ("INVITE", "KAMAILIO"),
        ("180 Ringing", "CALLEE"),
        ("180 Ringing", "KAMAILIO"),
        ("200 Answering", "CALLEE"),
        ("200 Answering", "KAMAILIO"),
    ]


def test_an_arrow_shows_what_the_nat_made_of_the_source() -> None:
    invite = arrow(ladder(), "INVITE", Lane.CALLER)
    assert invite.translation == (Endpoint("192.168.1.2", 5060), Endpoint("203.0.113.21", 58867))


def test_an_arrow_shows_what_the_nat_made_of_the_destination() -> None:
    invite = arrow(ladder(), "INVITE", Lane.KAMAILIO)
    assert invite.translation == (Endpoint("203.0.113.22", 47588), Endpoint("10.0.0.2", 5060))


def test_a_forwarded_message_knows_the_one_it_came_from() -> None:
    invite = arrow(ladder(), "INVITE", Lane.KAMAILIO)
    assert invite.cause is not None
    assert invite.cause.first_line == "INVITE sip:bob@example.com SIP/2.0"
    assert arrow(ladder(), "180 Ringing", Lane.KAMAILIO).cause is not None


def test_a_reply_of_kamailios_own_knows_its_request() -> None:
    trying = arrow(ladder(), "100 trying -- your call is important to us", Lane.KAMAILIO)
    assert trying.cause is None
    assert trying.answers is not None
    assert trying.answers.method == "INVITE"


def test_a_message_that_never_reaches_the_phone_is_lost() -> None:
    deaf = [packet for packet in recorded("callee") if packet.message.title != "INVITE"]
    invite = arrow(ladder(callee=deaf), "INVITE", Lane.KAMAILIO)
    assert invite.lost
    assert invite.end is Lane.CALLEE


def test_a_message_that_never_reaches_the_server_is_lost() -> None:
    deaf = [packet for packet in recorded("server") if packet.message.title != "REGISTER"]
    assert arrow(ladder(server=deaf), "REGISTER", Lane.CALLER).lost


def test_a_retransmission_is_an_arrow_of_its_own_and_says_so() -> None:
    packets = recorded("callee")
    invite = next(packet for packet in packets if packet.message.title == "INVITE")
    packets.append(replace(invite, time=invite.time + 0.5))
    at_server = recorded("server")
    sent = next(packet for packet in at_server if packet.message.key == invite.message.key)
    at_server.append(replace(sent, time=sent.time + 0.5))
    invites = [
        arrow
        for arrow in ladder(at_server, packets).arrows
        if arrow.message.title == "INVITE" and arrow.start is Lane.KAMAILIO
    ]
    assert [(arrow.repeated, arrow.lost) for arrow in invites] == [(False, False), (True, False)]


def test_other_calls_in_the_servers_capture_are_left_out() -> None:
    at_server = recorded("server")
    stranger = at_server[-1].message
    headers = tuple(
        replace(header, value="another") if header.name == "Call-ID" else header
        for header in stranger.headers
    )
    at_server.append(replace(at_server[-1], message=replace(stranger, headers=headers)))
    assert len(ladder(at_server).arrows) == len(recorded("server"))
