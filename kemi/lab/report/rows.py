"""The rows of a ladder as a person reads them: phases, arrows with what changed, voices."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from kemi.lab.report import diff
from kemi.lab.report.ladder import Arrow, Ladder, Lane
from kemi.lab.report.media import Media
from kemi.lab.report.wire import Stream
from kemi.lab.result import Party

REGISTRATION, SETUP, AUDIO, END = "Registration", "Call set-up", "Audio", "Hang-up"
PHASES = (REGISTRATION, SETUP, AUDIO, END)


@dataclass(frozen=True)
class PhaseRow:
    """The beginning of a part of the call."""

    name: str
    kind: Literal["phase"] = "phase"


@dataclass(frozen=True)
class ArrowRow:
    """One message."""

    arrow: Arrow
    seconds: float
    """Since the first message of the ladder."""
    tone: str
    """Colour: ``request``, ``progress`` (1xx), ``success`` (2xx), ``challenge`` (401, 407), ``refusal``."""
    phone: Party
    """The phone at the other end from Kamailio."""
    lines: tuple[diff.Line, ...]
    stale: tuple[str, ...]
    """Where the message names an address that is of no use outside the NAT: ``Via``, ``Contact``, ``SDP``."""
    kind: Literal["arrow"] = "arrow"

    @property
    def outer(self) -> str:
        """The phone's address as Kamailio sees it."""
        return str(self._phone_end(self.arrow.from_kamailio))

    @property
    def inner(self) -> str:
        """The phone's address as the phone sees it."""
        return str(self._phone_end(not self.arrow.from_kamailio))

    def _phone_end(self, as_sent: bool) -> object:
        first, second = self.arrow.sent, self.arrow.received
        packet = (first or second) if as_sent else (second or first)
        if packet is None:
            return ""
        return packet.destination if self.arrow.from_kamailio else packet.source

    @property
    def labels(self) -> list[str]:
        """Names of what Kamailio changed, for badges."""
        return list(dict.fromkeys(line.label for line in self.lines if line.label))

    @property
    def left(self) -> int:
        """The left of the two lanes."""
        return min(self.arrow.start, self.arrow.end)

    @property
    def direction(self) -> str:
        """``rightward`` or ``leftward``."""
        return "rightward" if self.arrow.end > self.arrow.start else "leftward"


@dataclass(frozen=True)
class MediaRow:
    """One party's voice."""

    media: Media
    speaker: Party
    listener: Party
    seconds: float
    kind: Literal["media"] = "media"

    @property
    def direction(self) -> str:
        """``rightward`` for the caller's voice."""
        return "rightward" if self.media.end > self.media.start else "leftward"

    @property
    def segments(self) -> list[Stream | None]:
        """The hops from the leftmost to the rightmost."""
        hops = list(self.media.hops)
        return hops if self.direction == "rightward" else hops[::-1]

    @property
    def relay_ports(self) -> tuple[str, str]:
        """The relay's ports for this voice, towards the caller and towards the callee; empty where none was seen."""
        _, into, out, _ = self.media.hops
        ports = (str(into.destination.port) if into else "", str(out.source.port) if out else "")
        return ports if self.direction == "rightward" else ports[::-1]


Row = PhaseRow | ArrowRow | MediaRow


def rows(ladder: Ladder, media: Sequence[Media], parties: Sequence[Party]) -> Iterator[Row]:
    """Phase after phase; inside a phase in order of time."""
    times = [arrow.packet.time for arrow in ladder.arrows]
    start = min(times, default=0.0)
    for phase in PHASES:
        arrows = [arrow for arrow in ladder.arrows if _phase(arrow) == phase]
        spoken = sorted(media, key=lambda voice: voice.first) if phase == AUDIO else []
        if arrows or spoken:
            yield PhaseRow(phase)
        for arrow in arrows:
            yield _arrow_row(arrow, parties, start)
        for voice in spoken:
            speaker, listener = parties if voice.start is Lane.CALLER else parties[::-1]
            yield MediaRow(voice, speaker, listener, voice.first - start)


def _phase(arrow: Arrow) -> str:
    return {"REGISTER": REGISTRATION, "BYE": END}.get(arrow.message.method, SETUP)


def _arrow_row(arrow: Arrow, parties: Sequence[Party], start: float) -> ArrowRow:
    phone = parties[0] if Lane.CALLER in (arrow.start, arrow.end) else parties[1]
    translated = not arrow.from_kamailio and arrow.translation
    if arrow.cause:
        lines = diff.compare(arrow.cause, arrow.message)
    elif arrow.answers:
        lines = diff.answer(arrow.answers, arrow.message)
    else:
        lines = diff.unchanged(arrow.message, translated[0].address if translated else "")
    return ArrowRow(
        arrow=arrow,
        seconds=arrow.packet.time - start,
        tone=_tone(arrow.message.status),
        phone=phone,
        lines=lines,
        stale=tuple(_stale_places(lines)),
    )


def _tone(status: int) -> str:
    if status in (401, 407):
        return "challenge"
    return ("request", "progress", "success", "refusal", "refusal", "refusal", "refusal")[status // 100]


def _stale_places(lines: Sequence[diff.Line]) -> Iterator[str]:
    places = []
    for line in lines:
        if any(span.kind == diff.STALE for span in line.spans):
            text = line.spans[0].text
            places.append("SDP" if text[1:2] == "=" else text.partition(":")[0])
    yield from dict.fromkeys(places)
