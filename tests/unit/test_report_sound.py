"""The picture of a sound: decoded per ITU-T G.711, placed by RTP timestamp."""

import base64
import struct
import zlib

import numpy as np
import pytest

from kemi.lab.report.sound import HIGHEST_HZ, WINDOW, picture, samples
from kemi.lab.report.wire import Endpoint, Stream
from kemi.lab.rtp import PCMA, PCMU
from kemi.lab.tones import RATE

HERE, THERE = Endpoint("203.0.113.10", 35432), Endpoint("10.0.0.2", 40942)


def stream(payload_type: int, *audio: tuple[int, bytes]) -> Stream:
    return Stream("0x1", HERE, THERE, len(audio), 0.0, 1.0, payload_type, audio)


def tone(hertz: float, seconds: float) -> Stream:
    """A square wave in A-law: loud, and easy to write down."""
    wave = np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)
    coded = np.where(wave >= 0, 0xAA, 0x2A).astype(np.uint8)
    packets = ((start, coded[start : start + 160].tobytes()) for start in range(0, len(coded), 160))
    return stream(PCMA, *packets)


def pixels(uri: str) -> list[bytes]:
    """The rows of a picture, from the top."""
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    width, height = struct.unpack(">II", data[16:24])
    start = data.index(b"IDAT") + 4
    raw = zlib.decompressobj().decompress(data[start:])
    return [raw[row * (width + 1) + 1 : (row + 1) * (width + 1)] for row in range(height)]


@pytest.mark.parametrize(
    ("payload_type", "coded", "value"),
    [
        (PCMA, 0xD5, 8),
        (PCMA, 0x55, -8),
        (PCMA, 0xAA, 32256),
        (PCMA, 0x2A, -32256),
        (PCMA, 0xC5, 264),
        (PCMU, 0xFF, 0),
        (PCMU, 0x80, 32124),
        (PCMU, 0x00, -32124),
        (PCMU, 0xEF, 132),
    ],
)
def test_g711_is_decoded(payload_type: int, coded: int, value: int) -> None:
    assert samples(stream(payload_type, (0, bytes([coded]))))[0] == value


def test_a_missing_packet_is_silence_in_its_place() -> None:
    heard = samples(stream(PCMA, (1000, b"\xaa" * 160), (1320, b"\xaa" * 160)))
    assert len(heard) == 480
    assert not heard[160:320].any()
    assert heard[320:].all()


def test_timestamps_may_wrap() -> None:
    assert len(samples(stream(PCMA, (2**32 - 160, b"\xaa" * 160), (0, b"\xaa" * 160)))) == 320


def test_the_brightest_line_of_the_picture_is_the_tone() -> None:
    rows = pixels(picture(tone(500, 2)))
    brightest = max(range(len(rows)), key=lambda row: sum(rows[row]))
    hertz = HIGHEST_HZ * (len(rows) - 1 - brightest) / len(rows)
    assert hertz == pytest.approx(500, abs=RATE / WINDOW)


def test_what_is_not_g711_has_no_picture() -> None:
    assert picture(stream(111, (0, b"opus"))) == ""
    assert picture(stream(PCMA)) == ""
