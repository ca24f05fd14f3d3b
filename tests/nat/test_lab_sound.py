"""What a phone heard is decoded from its wire: capture, RTP, G.711, tone. Needs no root."""

import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from kemi.lab import netstring, pcap, rtp, tones
from kemi.lab.rtp import PCMA, PCMU, Packet

LISTENER = "192.168.1.2"
ETHERNET = bytes(12) + b"\x08\x00"


def frame(payload: bytes, destination: str = LISTENER, fragment: int = 0) -> bytes:
    """An Ethernet frame with a UDP datagram from 192.0.2.10:35000 to port 10000."""
    addresses = bytes([192, 0, 2, 10]) + bytes(int(byte) for byte in destination.split("."))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(payload), 0, fragment, 64, 17, 0) + addresses
    return ETHERNET + ip + struct.pack("!HHHH", 35000, 10000, 8 + len(payload), 0) + payload


def rtp_packet(
    sequence: int, payload: bytes = b"\xd5" * 160, payload_type: int = PCMA, ssrc: int = 7
) -> bytes:
    return struct.pack("!BBHII", 0x80, payload_type, sequence % 65536, 160 * sequence % 2**32, ssrc) + payload


def streams_of(*payloads: bytes) -> list[rtp.Stream]:
    found = [pcap.udp(frame(payload)) for payload in payloads]
    return rtp.streams([one for one in found if one], LISTENER)


def test_a_frame_gives_its_datagram() -> None:
    found = pcap.udp(frame(b"hello"), time=1.5)
    assert found == pcap.Datagram(1.5, ("192.0.2.10", 35000), (LISTENER, 10000), b"hello")


@pytest.mark.parametrize(
    "other",
    [b"", bytes(60), ETHERNET[:12] + b"\x86\xdd" + bytes(60), frame(b"rest", fragment=100)],
    ids=["empty", "no type", "IPv6", "fragment"],
)
def test_what_is_no_whole_udp_datagram_is_passed_over(other: bytes) -> None:
    assert pcap.udp(other) is None


def test_a_capture_that_still_grows_is_read_up_to_its_last_whole_record(tmp_path: Path) -> None:
    path = tmp_path / "growing.pcap"
    records = [pcap.record(second * 10**9 + 250_000_000, frame(b"%d" % second)) for second in (1, 2)]
    path.write_bytes(pcap.FILE_HEADER + records[0] + records[1][:-1])
    assert [(one.time, one.payload) for one in pcap.datagrams(path)] == [(1.25, b"1")]


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pcap"
    path.write_bytes(b"\x0a\x0d\x0d\x0a" + bytes(40))
    with pytest.raises(
        ValueError, match="expected a little-endian pcap file of Ethernet frames, found 0a0d0d0a"
    ):
        list(pcap.datagrams(path))


@pytest.mark.parametrize(
    "payload",
    [
        b"INVITE sip:bob@example.test SIP/2.0\r\n",
        b"\x80\xc8" + bytes(26),
        rtp_packet(1, payload_type=101),
        bytes(4),
    ],
    ids=["SIP", "RTCP sender report", "telephone-event", "keepalive"],
)
def test_what_is_no_sound_is_no_packet(payload: bytes) -> None:
    assert rtp.parse(payload) is None


def test_the_marker_bit_does_not_hide_a_packet() -> None:
    marked = bytearray(rtp_packet(9))
    marked[1] |= 0x80
    assert rtp.parse(bytes(marked)) == Packet(PCMA, 9, 7, b"\xd5" * 160)


def test_a_stream_is_ordered_counted_once_and_its_gaps_are_losses() -> None:
    (stream,) = streams_of(*(rtp_packet(number) for number in (10, 12, 11, 12, 15)))
    assert [packet.sequence for packet in stream.packets] == [10, 11, 12, 15]
    assert stream.lost == 2


def test_sequence_numbers_may_wrap() -> None:
    (stream,) = streams_of(*(rtp_packet(number) for number in (65534, 65535, 65536, 65537)))
    assert [packet.sequence for packet in stream.packets] == [65534, 65535, 0, 1]
    assert stream.lost == 0


def test_sources_are_streams_of_their_own() -> None:
    found = streams_of(rtp_packet(1, ssrc=1), rtp_packet(900, ssrc=2), rtp_packet(2, ssrc=1))
    assert [(stream.ssrc, len(stream.packets), stream.lost) for stream in found] == [(1, 2, 0), (2, 1, 0)]


def test_what_the_listener_itself_sends_is_not_heard() -> None:
    sent = pcap.udp(frame(rtp_packet(1), destination="192.0.2.10"))
    assert sent is not None
    assert rtp.streams([sent], LISTENER) == []


@pytest.mark.parametrize(
    ("payload_type", "code", "sample"),
    [
        # ITU-T G.711, tables 1a, 1b, 2a, 2b: smallest and largest values of both signs, as 16-bit samples
        (PCMA, 0xD5, 8),
        (PCMA, 0x55, -8),
        (PCMA, 0xAA, 32256),
        (PCMA, 0x2A, -32256),
        (PCMA, 0xC5, 264),
        (PCMU, 0xFF, 0),
        (PCMU, 0x7F, 0),
        (PCMU, 0x80, 32124),
        (PCMU, 0x00, -32124),
    ],
)
def test_g711_is_decoded_as_its_tables_say(payload_type: int, code: int, sample: int) -> None:
    assert tones.decode([Packet(payload_type, 0, 0, bytes([code]))]).tolist() == [sample]


def samples_of(frequency_hz: int, seconds: int, path: Path) -> tones.Samples:
    tones.write(path, frequency_hz, seconds)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, tones.RATE, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)


@pytest.mark.parametrize("number", range(50))
def test_a_tone_is_heard_as_itself_and_not_as_another(number: int, tmp_path: Path) -> None:
    samples = samples_of(tones.tone(number), 2, tmp_path / "tone.wav")
    assert tones.seconds_of(samples, tones.tone(number)) == 2
    for other in (number - 1, number + 1):
        assert tones.seconds_of(samples, 400 + 50 * other) == 0


def test_silence_and_noise_are_not_heard_as_a_tone(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    assert tones.seconds_of(np.zeros(8000), 400) == 0
    assert tones.seconds_of(random.normal(0, 8000, 8000), 400) == 0
    assert tones.seconds_of(samples_of(400, 1, tmp_path / "tone.wav") / 100, 400) == 0
    assert tones.seconds_of(np.zeros(0), 400) == 0


def test_only_the_time_in_which_the_tone_dominates_counts(tmp_path: Path) -> None:
    tone = samples_of(500, 1, tmp_path / "tone.wav")
    other = samples_of(700, 1, tmp_path / "other.wav")
    assert tones.seconds_of(np.concatenate([other, tone, np.zeros(8000), tone + other]), 500) == 1


def test_netstrings_come_in_any_pieces() -> None:
    reader = netstring.Reader()
    stream = netstring.encode(b'{"a":1}') + netstring.encode(b"") + netstring.encode(b"1:x,")
    found = [text for position in range(len(stream)) for text in reader.feed(stream[position : position + 1])]
    assert found == [b'{"a":1}', b"", b"1:x,"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello:", "expected a netstring's length, found b'hello'"),
        (b"2:abc", "expected ',' after 2 bytes, found b'c'"),
    ],
)
def test_what_is_no_netstring_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        netstring.Reader().feed(data)
