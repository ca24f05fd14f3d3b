"""A call between two phones, and what each heard of it."""

import time

from kemi.lab import pcap, rtp, tones
from kemi.lab.phone import Phone
from kemi.lab.result import Heard

_PACKETS_PER_SECOND = 50


class Call:
    """A call from the moment that the caller dials."""

    def __init__(self, caller: Phone, callee: Phone) -> None:
        self.caller = caller
        self.callee = callee
        self.call_id = ""
        self.began = time.time()
        self._marks = {phone: phone.mark() for phone in (caller, callee)}
        self._media = {phone: phone.capture.media for phone in (caller, callee)}
        caller.dial(callee.account.uri)

    def ringing(self, seconds: float = 10) -> None:
        """Wait until the callee rings and the caller knows (180)."""
        self.callee.wait_for("CALL_INCOMING", seconds=seconds, since=self._marks[self.callee])
        self.caller.wait_for("CALL_RINGING", "CALL_PROGRESS", seconds=seconds, since=self._marks[self.caller])

    def established(self, seconds: float = 10) -> None:
        """Wait until both sides have a call. Raises DeadlineError with what they have instead."""
        for phone, since in self._marks.items():
            event = phone.wait_for("CALL_ESTABLISHED", seconds=seconds, since=since)
            if phone is self.caller:
                self.call_id = event.call_id

    def listen(self, seconds: float) -> None:
        """Wait until each side received `seconds` of sound since the call began. Raises DeadlineError."""
        packets = int(seconds * _PACKETS_PER_SECOND)
        for phone, media in self._media.items():
            phone.capture.wait_for_media(media + packets, 2 * seconds + 5)

    def heard_by(self, listener: Phone, since: float | None = None) -> Heard:
        """What `listener` has heard of the other side, since the call began or since a later ``time.time()``."""
        speaker = self.callee if listener is self.caller else self.caller
        begin = self.began if since is None else since
        listener.capture.flush()
        recorded = (one for one in pcap.datagrams(listener.capture.path) if one.time >= begin)
        streams = rtp.streams(recorded, listener.host.address)
        return Heard(
            listener=listener.name,
            speaker=speaker.name,
            frequency_hz=speaker.tone_hz,
            seconds=round(
                sum(tones.seconds_of(tones.decode(one.packets), speaker.tone_hz) for one in streams), 2
            ),
            packets=sum(len(one.packets) for one in streams),
            lost=sum(one.lost for one in streams),
        )

    def closed(self, seconds: float = 10) -> str:
        """Wait until the call is over on both sides; returns the reason that the caller was given."""
        self.callee.wait_for("CALL_CLOSED", seconds=seconds, since=self._marks[self.callee])
        return self.failed(seconds)

    def failed(self, seconds: float = 10) -> str:
        """Wait until the call is over for the caller; returns the reason, such as ``486 Busy Here``."""
        return self.caller.wait_for("CALL_CLOSED", seconds=seconds, since=self._marks[self.caller]).param
