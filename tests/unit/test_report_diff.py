"""What Kamailio changed, found word by word and explained."""

from kemi.lab.report import diff
from kemi.lab.report.diff import Line, Span
from kemi.lab.report.ladder import Arrow, build
from tests.unit.report_samples import ALICE, BOB, recorded


def forwarded(title: str) -> Arrow:
    ladder = build(ALICE, BOB, recorded("caller"), recorded("server"), recorded("callee"))
    return next(arrow for arrow in ladder.arrows if arrow.message.title == title and arrow.from_kamailio)


def changes(title: str) -> dict[str, Line]:
    arrow = forwarded(title)
    assert arrow.cause is not None
    lines = diff.compare(arrow.cause, arrow.message)
    return {line.label: line for line in lines if line.label}


def added(line: Line) -> list[str]:
    return [span.text for span in line.spans if span.kind == diff.ADDED]


def test_alias_is_what_was_added_to_the_contact() -> None:
    alias = changes("INVITE")["alias"]
    assert added(alias) == [";alias=203.0.113.21~58867~1"]
    assert alias.why == "where the phone really is, for later requests of this call"


def test_received_and_rport_are_what_was_added_to_the_phones_via() -> None:
    assert added(changes("INVITE")["rport"]) == ["received=203.0.113.21;", "=58867"]


def test_kamailios_own_via_is_added_to_requests_and_removed_from_replies() -> None:
    assert changes("INVITE")["Via"].kind == "added"
    assert changes("180 Ringing")["Via"].kind == "removed"


def test_the_media_address_gives_way_to_the_relays() -> None:
    relay = changes("INVITE")["relay"]
    assert relay.spans[-2:] == (Span(diff.REMOVED, "192.168.1.2"), Span(diff.ADDED, "203.0.113.10"))


def test_record_route_names_the_nat_mark() -> None:
    assert changes("INVITE")["Record-Route, nat"].spans == (
        Span(diff.ADDED, "Record-Route: <sip:203.0.113.10;lr;nat=yes>"),
    )


def test_an_alias_that_was_used_is_taken_off_the_request_uri() -> None:
    used = changes("BYE")["alias used"]
    assert Span(diff.REMOVED, ";alias=203.0.113.22~47588~1") in used.spans


def test_without_the_removed_words_the_lines_are_the_message_that_was_sent() -> None:
    for title in ("INVITE", "180 Ringing", "200 Answering", "BYE"):
        arrow = forwarded(title)
        assert arrow.cause is not None
        lines = diff.compare(arrow.cause, arrow.message)
        kept = [line for line in lines if line.kind != "removed"]
        text = ["".join(span.text for span in line.spans if span.kind != diff.REMOVED) for line in kept]
        assert text == arrow.message.lines


def test_a_reply_to_register_shows_where_the_registration_came_from() -> None:
    ladder = build(ALICE, BOB, recorded("caller"), recorded("server"), recorded("callee"))
    arrow = next(arrow for arrow in ladder.arrows if arrow.answers and arrow.answers.method == "REGISTER")
    assert arrow.answers is not None
    lines = {line.label: line for line in diff.answer(arrow.answers, arrow.message)}
    assert added(lines["received"]) == [';received="sip:203.0.113.22:47588"']


def test_a_reply_without_contact_shows_only_its_via() -> None:
    arrow = forwarded("100 trying -- your call is important to us")
    assert arrow.answers is not None
    lines = diff.answer(arrow.answers, arrow.message)
    assert [line.label for line in lines if line.changed] == ["rport"]
    assert len(lines) == len(arrow.message.lines)


def test_private_addresses_are_marked_and_longer_ones_are_not() -> None:
    message = recorded("caller")[0].message
    marked = [
        span.text
        for line in diff.unchanged(message, "192.168.1.2")
        for span in line.spans
        if span.kind == diff.STALE
    ]
    assert marked == ["192.168.1.2:5060", "192.168.1.2:5060"]
    assert not [
        span
        for line in diff.unchanged(message, "192.168.1")
        for span in line.spans
        if span.kind == diff.STALE
    ]
