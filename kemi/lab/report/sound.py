"""A picture of what reached a phone's ear: frequencies over time, as a PNG small enough to live inside the page."""

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from kemi.lab.report.wire import Stream

RATE = 8000
"""Samples a second of G.711 (RFC 3551, section 4.5.14)."""
PCMU, PCMA = 0, 8
"""Payload types (RFC 3551, section 6)."""
HIGHEST_HZ = 1250
WINDOW = 512
STEP = 160
"""Samples from one column of the picture to the next: 20 ms, one packet."""
LONGEST = 60 * RATE
COLOUR = (16, 166, 110)


def picture(stream: Stream) -> str:
    """A data URI: time to the right, frequency upwards to `HIGHEST_HZ`, louder is more opaque.

    Empty when the stream holds no G.711 audio.
    """
    if stream.payload_type not in (PCMU, PCMA) or not stream.audio:
        return ""
    signal = np.pad(samples(stream), (WINDOW // 2, WINDOW))
    starts = range(0, len(signal) - WINDOW, STEP)
    frames = np.stack([signal[start : start + WINDOW] for start in starts]) * np.hanning(WINDOW)
    rows = HIGHEST_HZ * WINDOW // RATE
    power = np.abs(np.fft.rfft(frames, axis=1))[:, :rows]
    level = 20 * np.log10(power / max(power.max(), 1.0) + 1e-6)
    opacity = np.clip((level + 50) / 50, 0, 1) ** 1.5 * 255
    return f"data:image/png;base64,{base64.b64encode(_png(opacity.T[::-1].astype(np.uint8))).decode()}"


def samples(stream: Stream) -> NDArray[np.float64]:
    """The audio as it would be played: every packet where its timestamp puts it, silence where one is missing."""
    first = stream.audio[0][0]
    decode = _alaw if stream.payload_type == PCMA else _ulaw
    pieces = [
        ((timestamp - first) % 2**32, decode(np.frombuffer(payload, np.uint8)))
        for timestamp, payload in stream.audio
    ]
    pieces = [(start, piece) for start, piece in pieces if start + len(piece) <= LONGEST]
    signal = np.zeros(max((start + len(piece) for start, piece in pieces), default=0))
    for start, piece in pieces:
        signal[start : start + len(piece)] = piece
    return signal


def _alaw(coded: NDArray[np.uint8]) -> NDArray[np.float64]:
    """ITU-T G.711, table 1: sign, three bits of exponent, four of mantissa; even bits inverted."""
    bits = coded.astype(np.int32) ^ 0x55
    exponent, mantissa = (bits >> 4) & 7, bits & 15
    value = np.where(exponent == 0, 16 * mantissa + 8, (16 * mantissa + 264) << np.maximum(exponent - 1, 0))
    return np.where(bits & 0x80, value, -value).astype(np.float64)


def _ulaw(coded: NDArray[np.uint8]) -> NDArray[np.float64]:
    """ITU-T G.711, table 2: the same with all bits inverted and a bias of 132."""
    bits = ~coded.astype(np.int32) & 0xFF
    value = ((8 * (bits & 15) + 132) << ((bits >> 4) & 7)) - 132
    return np.where(bits & 0x80, -value, value).astype(np.float64)


def _png(opacity: NDArray[np.uint8]) -> bytes:
    """One colour, with the given opacity for each pixel: a palette image whose palette is all degrees of opacity."""
    height, width = opacity.shape
    pixels = b"".join(b"\0" + row.tobytes() for row in opacity)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(COLOUR) * 256),
        (b"tRNS", bytes(range(256))),
        (b"IDAT", zlib.compress(pixels, 9)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
