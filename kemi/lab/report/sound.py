"""A picture of what reached a phone's ear: frequencies over time, as a PNG small enough to live inside the page."""

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from kemi.lab.report.wire import Stream
from kemi.lab.rtp import PCMA, PCMU, Packet
from kemi.lab.tones import RATE, decode

HIGHEST_HZ = 3000
"""No phone of the laboratory has a higher tone."""
WINDOW = 256
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
    pieces = [
        ((timestamp - first) % 2**32, decode([Packet(stream.payload_type, 0, 0, payload)]))
        for timestamp, payload in stream.audio
    ]
    pieces = [(start, piece) for start, piece in pieces if start + len(piece) <= LONGEST]
    signal = np.zeros(max((start + len(piece) for start, piece in pieces), default=0))
    for start, piece in pieces:
        signal[start : start + len(piece)] = piece
    return signal


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
