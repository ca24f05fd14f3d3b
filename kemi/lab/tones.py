"""Tones: what a phone says, and how long another one heard it."""

import wave
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kemi.lab.rtp import PCMA, Packet

RATE = 8000
FRAME = RATE // 50
"""Samples in the 20 ms that are judged at once. A multiple of 50 Hz falls into one bin of their spectrum."""

_LOUD = 500.0
_DOMINANT = 0.8

Samples = npt.NDArray[np.float64]


def tone(number: int) -> int:
    """The frequency of the phone with that number, in Hz; it repeats after 50 phones."""
    return 400 + 50 * (number % 50)


def write(path: Path, frequency_hz: int, seconds: int) -> None:
    """Write a WAV file (mono, 16 bit, 8 kHz) of one tone."""
    moments = np.arange(RATE) / RATE  # whole periods, so that seconds join without a click
    samples = (10000 * np.sin(2 * np.pi * frequency_hz * moments)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes() * seconds)


def _a_law() -> Samples:
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    size = np.where(
        exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0)
    )
    return np.where(code & 0x80, size, -size).astype(np.float64)


def _mu_law() -> Samples:
    code = ~np.arange(256) & 0xFF
    size = ((((code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.float64)


_A_LAW, _MU_LAW = _a_law(), _mu_law()


def decode(packets: Iterable[Packet]) -> Samples:
    """The sound of G.711 packets (ITU-T G.711) as 16-bit samples."""
    parts = [
        (_A_LAW if packet.payload_type == PCMA else _MU_LAW)[np.frombuffer(packet.payload, np.uint8)]
        for packet in packets
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def seconds_of(samples: Samples, frequency_hz: float) -> float:
    """Time during which that frequency is loud and holds most of the sound's power."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    spectrum = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    spectrum[:, 0] = 0  # a constant offset is no sound
    total = spectrum.sum(axis=1)
    loud = np.sqrt((frames**2).mean(axis=1)) > _LOUD
    wanted = spectrum[:, round(frequency_hz * FRAME / RATE)]
    return float((loud & (wanted > _DOMINANT * total)).sum() * FRAME / RATE)
