"""What the phones of the compose profile make of what they recorded."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from kemi.cli.paths import PACKAGE


@pytest.fixture
def sound() -> ModuleType:
    """The module, which stands alone in its container."""
    spec = importlib.util.spec_from_file_location("sound", PACKAGE.parent / "docker" / "phones" / "sound.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_tone_is_heard_for_as_long_as_it_lasts(sound: ModuleType, tmp_path: Path) -> None:
    recorded = tmp_path / "dec.wav"
    sound.write_tone(recorded, 450, seconds=2)
    assert sound.is_complete(recorded)
    assert sound.seconds_heard(recorded, 450) == 2.0
    assert sound.seconds_heard(recorded, 600) == 0.0


@pytest.mark.parametrize("written", [0, 4, 20, 44], ids=["empty", "RIFF", "half a header", "no sound"])
def test_a_recording_that_is_still_open_is_not_complete(
    sound: ModuleType, tmp_path: Path, written: int
) -> None:
    """A call's end is told before its recording is closed."""
    recorded = tmp_path / "dec.wav"
    sound.write_tone(recorded, 450, seconds=1)
    header = bytearray(recorded.read_bytes()[:written])
    header[40:44] = b"\0" * len(header[40:44])  # the length, which is written at the end
    recorded.write_bytes(header)
    assert not sound.is_complete(recorded)
