"""A phone's voice, one tone, and whether it was heard. Without numpy, which is larger than the phone."""

from __future__ import annotations

import array
import math
import wave
from pathlib import Path

RATE = 8000
_FRAME = RATE // 50  # 20 ms: a multiple of 50 Hz has whole periods in it
_LOUD = 500.0
_DOMINANT = 0.8


def write_tone(path: Path, hertz: int, seconds: int) -> None:
    """A WAV file (mono, 16 bit, 8 kHz) of one tone."""
    period = array.array("h", (round(10000 * math.sin(2 * math.pi * hertz * n / RATE)) for n in range(RATE)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(period.tobytes() * seconds)


def is_complete(path: Path) -> bool:
    """Has whoever records closed the file? Only then the length of what is in it stands at its beginning."""
    try:
        with wave.open(str(path), "rb") as file:
            return file.getnframes() > 0
    except (wave.Error, EOFError):
        return False


def seconds_heard(path: Path, hertz: int) -> float:
    """Time in a recording during which that tone is loud and holds most of the sound's power."""
    with wave.open(str(path), "rb") as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE):
            raise ValueError(f"{path}: expected mono, 16 bit, {RATE} Hz, found {file.getparams()}")
        samples = array.array("h", file.readframes(file.getnframes()))
    frames = (samples[start : start + _FRAME] for start in range(0, len(samples) - _FRAME + 1, _FRAME))
    return sum(_is_tone(frame, hertz) for frame in frames) * _FRAME / RATE


def _is_tone(frame: array.array[int], hertz: int) -> bool:
    power = sum(sample * sample for sample in frame) / _FRAME
    if power < _LOUD**2:
        return False
    # The power of one frequency (Goertzel's algorithm).
    turn, last, before = 2 * math.cos(2 * math.pi * hertz / RATE), 0.0, 0.0
    for sample in frame:
        last, before = sample + turn * last - before, last
    tone = 2 * (last**2 + before**2 - turn * last * before) / _FRAME**2
    return tone > _DOMINANT * power
