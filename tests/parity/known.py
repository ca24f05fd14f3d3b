"""Differences that no route can remove, each with its reason. They are counted and named, and not hidden."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.parity.record import Record, compare


@dataclass(frozen=True)
class Known:
    """What differs, where and why: in `section` of the cases whose names begin so, texts that `differs` matches."""

    name: str
    reason: str
    cases: str
    section: str
    differs: re.Pattern[str]

    def explains(self, case: str, expected: Record, found: Record) -> bool:
        """Are two records of a case, which are not equal, equal but for this?"""
        if not case.startswith(self.cases):
            return False
        return compare(case, self._without(expected), self._without(found)) is None

    def _without(self, record: Record) -> Record:
        texts = record.sections.get(self.section, [])
        return Record({**record.sections, self.section: [self.differs.sub("", text) for text in texts]})


KNOWN = (
    Known(
        name="codecs for RTPProxy when the transport is UDP/TLS/RTP/SAVPF",
        reason="Kamailio's parser of SDP does not know this transport and leaves unset whether it is RTP, so it is "
        "whatever stood on the stack before (extract_media_attr). Where it comes out as yes, module rtpproxy adds the "
        "codecs to its command, which RTPProxy needs for repacketization only. Seen on 6.0.1.",
        cases="bodies: DTLS and ICE, ",
        section="the relay",
        differs=re.compile(r"(?<=^[UL])c[\d,]+"),
    ),
)


def explanation(case: str, expected: Record, found: Record, known: Sequence[Known] = KNOWN) -> Known | None:
    """The known difference that is all that two records differ in."""
    return next((one for one in known if one.explains(case, expected, found)), None)
