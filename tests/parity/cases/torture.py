"""The torture messages of RFC 4475, each over UDP and over TCP."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.parity.agent import OPEN, Place
from tests.parity.scene import Case, Scene

FOLDER = Path(__file__).parents[2] / "server" / "rfc4475"
MESSAGES = 49
#: The domains of these messages are ours, so that none has to be looked up.
DOMAINS = ("example.net", "example.org", "company.com", "registrar.example.com", "chair-dnrc.example.com")


def torture() -> Iterator[Case]:
    paths = sorted(FOLDER.glob("*.dat"))
    if len(paths) != MESSAGES:
        raise FileNotFoundError(f"{FOLDER}: expected the {MESSAGES} messages of RFC 4475, found {len(paths)}")
    for place in (OPEN, Place(transport="tcp")):
        for path in paths:
            yield Case(
                "RFC 4475", f"{path.stem} over {place.transport}", partial(_play, path.read_bytes(), place)
            )


def _play(data: bytes, place: Place, scene: Scene) -> None:
    scene.agent("alice", place).raw(data)
