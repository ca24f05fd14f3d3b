"""The record of this process in shared memory, kept up to date for `kemi reload`, `kemi status` and `kemi trace`.

It is written when the process has loaded routes, and when it has caught an exception: not for messages that went well.
What was loaded before Kamailio forked is reported once for all processes, each of which then says no more than that it
has started: two dozen that each make and write the same text would take 300 kB each.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

import KSR

from kemi import log
from kemi.status import RELOADS, START, STARTED, TABLE, TRACE, ProcessRecord

if TYPE_CHECKING:
    from kemi.metrics import Metrics
    from kemi.trace import Wish

_MAIN = 0  # the rank of the main process


class SelfReport:
    """The record of this process; with `publish` False (kamailio.cfg has no table for it) it is kept to itself."""

    def __init__(self, *, publish: bool) -> None:
        self._publish = publish and hasattr(KSR, "htable")
        #: What `kemi status` shows of this process.
        self.record = ProcessRecord()
        self._files: Collection[Path] = ()
        #: Was this loaded before the fork, for all processes?
        self.for_all = False
        #: Counts loads and exceptions, too (WITH_METRICS).
        self.metrics: Metrics | None = None

    def describe(self, number: int, files: Collection[Path], settings: Path | None) -> None:
        """What was loaded: `number` is what :meth:`asked_reloads` said before the files were read."""
        self._files = files
        record = self.record
        record.load = record.tried = number
        record.version = fingerprint(files)
        record.settings = str(settings or "")
        record.loaded_at = time.time()

    def loaded(self, rank: int) -> None:
        """The routes serve from now on, in the process of this rank."""
        self.record.rank = rank
        if not self.for_all:
            self.write()
        else:
            if rank == _MAIN:
                self._put(START, self.record.to_text())
            self._put(str(os.getpid()), STARTED)
        self._count(lambda metrics: metrics.loaded("served"))

    def refused(self, number: int, error: str) -> None:
        """A load has failed; what this record describes goes on serving."""
        self.record.tried = number
        self.record.error = error
        self.write()
        self._count(lambda metrics: metrics.loaded("refused"))

    def caught(self, error: str) -> None:
        """An exception has been caught, the guard has made good what it could."""
        record = self.record
        record.exceptions += 1
        record.exception = error
        record.exception_at = time.time()
        self.write()
        self._count(lambda metrics: metrics.caught())

    def asked_reloads(self) -> int:
        """How many times `kemi reload` has asked so far. Read it before any file, so that none can be older."""
        return int(KSR.htable.sht_get(TABLE, RELOADS) or 0) if self._publish else 0

    def has_more_to_load(self) -> bool:
        """Has `kemi reload` asked since this process last read the files?"""
        return self.asked_reloads() != self.record.tried

    def wish(self) -> Wish | None:
        """The trace that somebody waits for and that this process has not taken up yet; see :mod:`kemi.trace`."""
        if not self._publish:
            return None
        text = KSR.htable.sht_get(TABLE, TRACE)
        if not text:
            return None
        from kemi.trace import Wish

        wish = Wish.from_text(str(text))
        return None if wish is None or wish.is_over or wish.id == self.record.trace else wish

    def traces(self, wish: Wish, error: str = "") -> None:
        """The trace has been taken up, or refused for the reason given."""
        self.record.trace = wish.id
        self.record.trace_error = error
        self.write()

    def files_have_changed(self) -> bool:
        """Are the files other than those that serve?"""
        return fingerprint(self._files) != self.record.version

    def _count(self, count: Callable[[Metrics], None]) -> None:
        if self.metrics is not None:
            try:
                count(self.metrics)
            except Exception as problem:  # noqa: BLE001 - as below
                log.error(f"metrics: {problem!r}")

    def write(self) -> None:
        """Put the record into the table. Never raises."""
        if self._publish:
            self._put(str(os.getpid()), self.record.to_text())

    def _put(self, name: str, value: str | int) -> None:
        if not self._publish:
            return
        try:
            if isinstance(value, int):
                KSR.htable.sht_seti(TABLE, name, value)
            else:
                KSR.htable.sht_sets(TABLE, name, value)
        except Exception as problem:  # noqa: BLE001 - a report must not harm what it reports on
            log.error(f"table {TABLE}: this process cannot report: {problem!r}")


def fingerprint(files: Collection[Path]) -> str:
    """Eight digits that differ when a name or the content of a file does."""
    # No hash of hashlib, which brings OpenSSL's library into memory.
    found = 0
    for file in sorted(set(files)):
        try:
            content = file.read_bytes()
        except OSError:
            content = b""  # deleted since it was loaded
        found = zlib.crc32(content, zlib.crc32(f"{file} {len(content)} ".encode(), found))
    return f"{found:08x}"
