"""A call between two phones, and what each heard of it."""

import re
import time

from kemi.lab import pcap, rtp, tones
from kemi.lab.errors import LabError
from kemi.lab.phone import Phone
from kemi.lab.result import Heard

_PACKETS_PER_SECOND = 50
_FROM_TAG = re.compile(rb"^From:.*;tag=([^;\s]+)", re.MULTILINE | re.IGNORECASE)


class Call:
    """A call from the moment that the caller dials."""

    def __init__(self, caller: Phone, callee: Phone) -> None:
        self.caller = caller
        self.callee = callee
        self.call_id = ""
        self.began = time.time()
        self._answered = time.monotonic()
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
        self._answered = time.monotonic()

    def listen(self, seconds: float) -> None:
        """Wait until each side received `seconds` of sound since the call began. Raises DeadlineError."""
        packets = int(seconds * _PACKETS_PER_SECOND)
        for phone, media in self._media.items():
            phone.capture.wait_for_media(media + packets, 2 * seconds + 5)

    def listen_further(self, seconds: float) -> None:
        """Wait until each side receives `seconds` of sound more than it has by now. Raises DeadlineError."""
        packets = int(seconds * _PACKETS_PER_SECOND)
        wanted = {phone: phone.capture.media + packets for phone in self._media}
        for phone, media in wanted.items():
            phone.capture.wait_for_media(media, 2 * seconds + 5)

    def heard_by(self, listener: Phone, since: float | None = None) -> Heard:
        """What `listener` has heard of the other side, since the call began or since a later ``time.time()``."""
        speaker = self.callee if listener is self.caller else self.caller
        hz = speaker.tone_hz
        begin = self.began if since is None else since
        listener.capture.flush()
        recorded = (one for one in pcap.datagrams(listener.capture.path) if one.time >= begin)
        streams = rtp.streams(recorded, listener.host.address)
        return Heard(
            listener=listener.name,
            speaker=speaker.name,
            frequency_hz=hz,
            seconds=round(sum(tones.seconds_of(tones.decode(one.packets), hz) for one in streams), 2) + 0.0,
            packets=sum(len(one.packets) for one in streams),
            lost=sum(one.lost for one in streams),
        )

    def from_tag(self) -> str:
        """The From-tag of the INVITE, which names the call at the relay. Raises LabError when it was not sent."""
        self.caller.capture.flush()
        for one in pcap.datagrams(self.caller.capture.path):
            if one.payload.startswith(b"INVITE ") and self.call_id.encode() in one.payload:
                found = _FROM_TAG.search(one.payload)
                if found:
                    return found[1].decode()
        raise LabError(
            f"no INVITE with Call-ID {self.call_id!r} and a From-tag in {self.caller.capture.path}"
        )

    def closed(self, seconds: float = 10) -> float:
        """Wait until the call is over on both sides; returns how long it lasted, in seconds since `established`."""
        for phone in (self.caller, self.callee):
            phone.wait_for("CALL_CLOSED", seconds=seconds, since=self._marks[phone])
        return time.monotonic() - self._answered

    def failed(self, seconds: float = 10) -> str:
        """Wait until the caller is told that there is no call; returns why, such as ``486 Busy Here``."""
        return self.caller.wait_for("CALL_CLOSED", seconds=seconds, since=self._marks[self.caller]).param
