"""Tables in Kamailio's shared memory (module htable): the same for all processes, gone at a restart.

A table is declared in kamailio.cfg: modparam("htable", "htable", "name=>size=8;autoexpire=300;"). Never read one
through a pseudo-variable with a key of your own in its name (``$sht(t=>alice)``): Kamailio remembers each such name
for ever.
"""

from __future__ import annotations

import KSR


def holds(table: str, key: str) -> bool:
    """Is there an entry that has not expired?"""
    return KSR.htable.sht_is_null(table, key) < 0


def get(table: str, key: str) -> str | int | None:
    """The text or number of an entry, None without one."""
    return KSR.htable.sht_get(table, key)


def put(table: str, key: str, seconds: int = 0, value: int = 1) -> None:
    """Make an entry that holds a number, for so many seconds; with 0 for the table's own ``autoexpire``."""
    if seconds:
        KSR.htable.sht_setxi(table, key, value, seconds)
    else:
        KSR.htable.sht_seti(table, key, value)


def text(table: str, key: str) -> str:
    """The text of an entry, "" without one."""
    return str(KSR.htable.sht_gete(table, key))


def put_text(table: str, key: str, value: str) -> None:
    """Make an entry that holds a text, for the table's own ``autoexpire``."""
    KSR.htable.sht_sets(table, key, value)


def count(table: str, key: str, seconds: int) -> int:
    """Count one more within a window that began with the first; how many there are now."""
    counted = int(KSR.htable.sht_inc(table, key))
    if counted < 1:  # the first: there was nothing to count up
        put(table, key, seconds)
        return 1
    return counted


def remove(table: str, key: str) -> None:
    """Take an entry out."""
    KSR.htable.sht_rm(table, key)
