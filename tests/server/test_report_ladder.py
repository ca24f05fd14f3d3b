"""Captures read with the real tshark, and the page written from them."""

from dataclasses import replace
from pathlib import Path

import pytest

from kemi.lab.report import page
from kemi.lab.report.wire import CaptureError, Endpoint, read
from kemi.lab.result import CallResult, Heard, Party

CALL = Path(__file__).parents[1] / "unit" / "data" / "call"


def call() -> CallResult:
    return CallResult(
        caller="alice",
        callee="bob",
        caller_nat="symmetric",
        callee_nat="symmetric",
        ended_by="caller",
        heard=(Heard("bob", "alice", 440.0, 4.0, 202, 0),),
        seconds=4.0,
        relay_sessions_left=0,
        ok=True,
        problem="",
        captures={name: CALL / f"{name}.pcap" for name in ("caller", "server", "callee")},
        parties=(
            Party("alice", "symmetric", "192.168.1.2", "203.0.113.21"),
            Party("bob", "symmetric", "10.0.0.2", "203.0.113.22"),
        ),
    )


def test_messages_come_with_the_addresses_that_carried_them() -> None:
    packets = read(CALL / "server.pcap").packets
    assert len(packets) == 17
    invite = next(packet for packet in packets if packet.message.title == "INVITE")
    assert invite.source == Endpoint("203.0.113.21", 58867)
    assert invite.destination == Endpoint("203.0.113.10", 5060)
    assert invite.message.body.startswith("v=0\r\n")
    assert len(invite.message.body) == int(invite.message.value("Content-Length"))


def test_rtp_is_counted_for_each_source_and_path() -> None:
    streams = read(CALL / "caller.pcap").streams
    assert {(str(stream.source), stream.ssrc, stream.packets) for stream in streams} == {
        ("192.168.1.2:40788", "0xc10c4168", 3),
        ("203.0.113.10:35210", "0x333df0c9", 3),
    }
    assert {stream.payload_type for stream in streams} == {8}
    assert [len(payload) for _, payload in streams[0].audio] == [160, 160, 160]


def test_the_page_is_written_from_the_captures(tmp_path: Path) -> None:
    written = page.write(tmp_path, [call()])
    text = written.read_text(encoding="utf-8")
    assert written == tmp_path / "index.html"
    assert text.count('<details class="row"') == 17
    assert "<code>192.168.1.2:5060</code> ⇒ <code>203.0.113.21:58867</code>" in text
    assert "alice’s voice" in text
    assert '<img src="data:image/png;base64,' in text


def test_a_capture_that_is_missing_is_named_on_the_page(tmp_path: Path) -> None:
    captures = dict(call().captures) | {"server": Path("gone.pcap")}
    text = page.write(tmp_path, [replace(call(), captures=captures)]).read_text(encoding="utf-8")
    assert "gone.pcap: expected a whole capture file, tshark says:" in text


def test_a_file_that_is_no_capture_is_refused(tmp_path: Path) -> None:
    junk = tmp_path / "junk.pcap"
    junk.write_bytes(b"not a capture")
    with pytest.raises(CaptureError, match=r"junk\.pcap: expected a whole capture file, tshark says: .+"):
        read(junk)


def test_a_call_that_was_never_set_up_is_on_the_page(tmp_path: Path) -> None:
    failed = replace(
        call(), ok=False, problem="bob never registered", parties=(), captures={}, heard=(), ended_by=""
    )
    text = page.write(tmp_path, [failed]).read_text(encoding="utf-8")
    assert "bob never registered" in text
    assert "expected caller and callee as parties of the call, found 0" in text
    assert '<details class="row"' not in text
