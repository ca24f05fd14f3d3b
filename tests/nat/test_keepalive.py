"""A phone that says nothing stays reachable, because the server keeps the hole in its NAT open."""

import time
from dataclasses import replace

import pytest

from kemi.lab import pcap
from kemi.lab.call import Call
from kemi.lab.lab import Lab
from kemi.lab.nat import PRESETS
from kemi.lab.phone import Phone
from kemi.lab.server import DEFINES
from tests.nat.conversation import MARGIN, SECONDS, eventually, phone, require_heard, require_nothing_left

TIMEOUT = 3
"""Seconds until the NATs of these tests close a UDP hole that nobody uses."""

SILENCE = 3 * TIMEOUT

EMPTY = bytes(4)
"""What nathelper sends as a UDP keepalive."""


@pytest.mark.parametrize(
    ("defines", "ping"),
    [
        pytest.param(DEFINES, EMPTY, id="UDP"),
        pytest.param((*DEFINES, "WITH_NATSIPPING"), b"OPTIONS", id="OPTIONS"),
    ],
)
def test_keepalives_keep_silent_phones_reachable(lab: Lab, defines: tuple[str, ...], ping: bytes) -> None:
    lab.kamailio(defines=defines, values={"NATPING_INTERVAL": 1})
    public = phone(lab, "carol", None)
    # When contacts have become more since the last round, nathelper may leave out a round or two, and the holes here
    # do not stay open for so long: it has none of the phones, or all.
    lab.server.rpc("nathelper.enable_ping", 0)
    silent = _log_in(lab)
    lab.server.rpc("nathelper.enable_ping", 1)
    calls = _call_after_silence(lab, silent)
    for call in calls:
        call.established()
    for call in calls:
        call.listen(SECONDS + MARGIN)
        call.callee.hang_up()
        call.closed()
        require_heard(call)
    require_nothing_left(lab)

    for call in calls:
        keepalives = _keepalives(lab, call.callee)
        assert {one[: len(ping)] for one in keepalives} == {ping}
        assert len(keepalives) >= SILENCE / 2
    assert _keepalives(lab, public) == [], "only contacts behind a NAT are pinged"


def test_without_keepalives_silent_phones_are_lost(lab: Lab) -> None:
    """The control experiment: nothing but the keepalives has kept the holes open."""
    lab.kamailio(values={"NATPING_INTERVAL": 0})
    lab.server.rpc("cfg.set_now_int", "tm", "fr_timer", 1000)  # no reply at all: 30 s in kamailio.cfg
    for call in _call_after_silence(lab, _log_in(lab)):
        assert call.failed().startswith("408")
        assert call.callee.received("INVITE") == []
        assert _keepalives(lab, call.callee) == []
    require_nothing_left(lab)


def test_public_phones_are_pinged_too_if_asked_for(lab: Lab) -> None:
    lab.kamailio(values={"NATPING_INTERVAL": 1, "NATPING_NATED_ONLY": 0})
    public = phone(lab, "carol", None)
    eventually("a keepalive to reach the public phone", lambda: bool(_keepalives(lab, public)), seconds=5)


def _log_in(lab: Lab) -> list[Phone]:
    """A phone behind each kind of NAT, all logged in at the same moment."""
    lab.trust(*PRESETS)
    phones = [
        lab.phone(f"bob{number}", behind=lab.gateway(replace(nat, udp_timeout=TIMEOUT)))
        for number, nat in enumerate(PRESETS)
    ]
    for one in phones:
        one.register()
    return phones


def _call_after_silence(lab: Lab, silent: list[Phone]) -> list[Call]:
    """Public phones call these, which have not said a word for three times the timeout of their NATs."""
    callers = [phone(lab, f"alice{number}", None) for number in range(len(silent))]
    began = time.time()
    time.sleep(SILENCE)  # this is what is tested: nothing happens
    for bob in silent:
        assert bob.sent("REGISTER", since=began) == []
    return [alice.call(bob) for alice, bob in zip(callers, silent, strict=True)]


def _keepalives(lab: Lab, listener: Phone) -> list[bytes]:
    """The datagrams of Kamailio, other than replies and what belongs to a call, that have reached a phone."""
    listener.capture.flush()
    return [
        one.payload
        for one in pcap.datagrams(listener.capture.path)
        if one.source == (lab.server.host.address, 5060)
        if one.destination[0] == listener.host.address
        if one.payload == EMPTY or one.payload.startswith(b"OPTIONS ")
    ]
