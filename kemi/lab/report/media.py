"""The voices of a call: RTP followed from the speaker through NATs and relay to the listener."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kemi.lab.report.ladder import Lane
from kemi.lab.report.wire import Stream
from kemi.lab.result import Party


@dataclass(frozen=True)
class Media:
    """One party's voice, hop by hop; a hop that no capture saw is None."""

    start: Lane
    end: Lane
    ssrc: str
    hops: tuple[Stream | None, ...]
    """At the speaker, into the relay, out of the relay, at the listener."""

    @property
    def first(self) -> float:
        """Time of its first packet, seconds since 1970."""
        return min(hop.first for hop in self.hops if hop)


def voices(
    caller: Party,
    callee: Party,
    caller_streams: Sequence[Stream],
    server_streams: Sequence[Stream],
    callee_streams: Sequence[Stream],
) -> tuple[Media, ...]:
    """The voice of each party that spoke, known everywhere by its SSRC, which a relay keeps.

    Of several streams the one with most packets counts: a relay may try an address before it knows the right one.
    """
    ways = (
        (Lane.CALLER, Lane.CALLEE, caller, caller_streams, callee_streams),
        (Lane.CALLEE, Lane.CALLER, callee, callee_streams, caller_streams),
    )
    media = []
    for start, end, speaker, at_speaker, at_listener in ways:
        spoken = _longest(stream for stream in at_speaker if stream.source.address == speaker.private_address)
        if spoken is None:
            continue
        relayed = [stream for stream in server_streams if stream.ssrc == spoken.ssrc]
        relay = spoken.destination
        hops = (
            spoken,
            _longest(stream for stream in relayed if stream.destination == relay),
            _longest(stream for stream in relayed if stream.source.address == relay.address),
            _longest(
                stream
                for stream in at_listener
                if stream.ssrc == spoken.ssrc and stream.source.address != speaker.private_address
            ),
        )
        media.append(Media(start, end, spoken.ssrc, hops))
    return tuple(media)


def _longest(streams: Iterable[Stream]) -> Stream | None:
    return max(streams, key=lambda stream: stream.packets, default=None)
