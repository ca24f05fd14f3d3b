"""Patience for SQLite's lock.

SQLite lets one connection write at a time and tells the others at once that the database is locked; each Kamailio
process has its own connection, so with several workers most registrations would fail with 500. The module db_sqlite
cannot be told to wait (newer ones can, up to 6.0 not), but SQLite takes it as a statement, and module sqlops, given the
same URL as the others, speaks through the connection that the whole process has in common.
"""

from __future__ import annotations

import KSR

CONNECTION = "kemi"  # modparam("sqlops", "sqlcon", "kemi=>...") in kamailio.cfg

_TIMER_AND_RPC = (-1, -2)


def wait_for_locks(rank: int, milliseconds: int) -> None:
    """Have this process wait up to so long for another one's write instead of failing."""
    if rank <= 0 and rank not in _TIMER_AND_RPC:
        return  # the main processes have no connection, and asking for one would crash them
    KSR.sqlops.sql_query(CONNECTION, f"PRAGMA busy_timeout = {milliseconds}", CONNECTION)
    KSR.sqlops.sql_result_free(CONNECTION)
