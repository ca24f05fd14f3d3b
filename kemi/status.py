"""What each process of Kamailio tells of itself: a record per process in shared memory, which `kemi status` reads.

Inside Kamailio :mod:`kemi.self_report` writes the records; this module knows only what they hold, for both sides.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Self

#: The table (module htable) with a record per process under its process id, and the three entries below.
TABLE = "kemi"
#: The record of what was loaded before Kamailio forked. It is that of all processes whose own entry is STARTED.
START = "start"
STARTED = 1
#: How many times `kemi reload` has asked for a load: raised before Kamailio is told.
RELOADS = "reloads"
#: The wish of `kemi trace`, see :mod:`kemi.trace`.
TRACE = "trace"

_LONGEST_TEXT = 400  # characters of an error kept: the answer with all records must fit a datagram


@dataclass
class ProcessRecord:
    """One process. Times are seconds since 1970."""

    #: As Kamailio counts: above 0 a worker, 0 the main process, below 0 timers and the like.
    rank: int = 0
    #: The number of the `kemi reload` whose files it serves; 0 for those of the start.
    load: int = 0
    #: The last `kemi reload` that it has carried out, well or not.
    tried: int = 0
    #: Fingerprint of the files that it serves: kemi's, the user's modules, the settings.
    version: str = ""
    #: The settings file, "" without one.
    settings: str = ""
    loaded_at: float = 0.0
    #: Why the last load failed, "" if it did not.
    error: str = ""
    #: Exceptions caught since the load that it serves, and the last of them.
    exceptions: int = 0
    exception: str = ""
    exception_at: float = 0.0
    #: The last trace (:class:`kemi.trace.Wish`) that it has taken up or refused, and why refused.
    trace: str = ""
    trace_error: str = ""

    def to_text(self) -> str:
        """As it stands in the table: ASCII, so that Kamailio and its RPC take every text."""
        values = asdict(self)
        for name, value in values.items():
            if isinstance(value, str):
                values[name] = value[:_LONGEST_TEXT]
        return json.dumps(values)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The record that :meth:`to_text` wrote, maybe in another version of kemi. Raises ValueError for others."""
        values = json.loads(text)
        if not isinstance(values, dict) or "rank" not in values:
            raise ValueError(f"table {TABLE}: expected the record of a process, found {text!r}")
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})
