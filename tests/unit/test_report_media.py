"""A voice is followed from phone to phone."""

from kemi.lab.report.ladder import Lane
from kemi.lab.report.media import voices
from kemi.lab.report.wire import Endpoint, Stream
from tests.unit.report_samples import ALICE, BOB


def test_a_voice_is_followed_by_its_ssrc_through_both_nats_and_the_relay() -> None:
    phone, outside, relay_in, relay_out, nat, bob = (
        Endpoint("192.168.1.2", 40788),
        Endpoint("203.0.113.21", 4474),
        Endpoint("203.0.113.10", 35210),
        Endpoint("203.0.113.10", 35432),
        Endpoint("203.0.113.22", 58862),
        Endpoint("10.0.0.2", 40942),
    )
    spoken = Stream("0x1", phone, relay_in, 200, 1.0, 5.0)
    at_server = [
        Stream("0x1", outside, relay_in, 200, 1.0, 5.0),
        Stream("0x1", relay_out, Endpoint("203.0.113.22", 40942), 1, 1.0, 1.0),
        Stream("0x1", relay_out, nat, 199, 1.0, 5.0),
        Stream("0x2", outside, relay_in, 999, 1.0, 5.0),
    ]
    heard = Stream("0x1", relay_out, bob, 199, 1.0, 5.0)
    (media,) = voices(ALICE, BOB, [spoken], at_server, [heard])
    assert [hop and hop.packets for hop in media.hops] == [200, 200, 199, 199]
    assert (media.start, media.end) == (Lane.CALLER, Lane.CALLEE)


def test_a_voice_that_no_relay_passed_on_has_only_its_first_hop() -> None:
    spoken = Stream("0x1", Endpoint("10.0.0.2", 40942), Endpoint("203.0.113.10", 35432), 200, 1.0, 5.0)
    (media,) = voices(ALICE, BOB, [], [], [spoken])
    assert media.start is Lane.CALLEE
    assert media.hops == (spoken, None, None, None)
