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


def put(table: str, key: str, seconds: int = 0) -> None:
    """Make an entry, for so many seconds; with 0 for the table's own ``autoexpire``."""
    if seconds:
        KSR.htable.sht_setxi(table, key, 1, seconds)
    else:
        KSR.htable.sht_seti(table, key, 1)


def count(table: str, key: str, seconds: int) -> int:
    """Count one more within a window that began with the first; how many there are now."""
    number = int(KSR.htable.sht_inc(table, key))
    if number < 1:  # the first: there was nothing to count up
        put(table, key, seconds)
        return 1
    return number


def remove(table: str, key: str) -> None:
    """Take an entry out."""
    KSR.htable.sht_rm(table, key)
