"""Log lines that Kamailio can always write.

``KSR.err()`` and its sisters refuse a text with a NUL in it (ValueError) or with a lone surrogate
(UnicodeEncodeError). What a stranger put into a header must never turn a log line into an exception, so both are
replaced here.
"""

from __future__ import annotations

import KSR


def clean(text: str) -> str:
    """``text`` as Kamailio's C functions accept it: no NUL, no lone surrogate."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\\0").encode("utf-8", "replace").decode("utf-8")


def info(text: str) -> None:
    """Write at level 2 (INFO), the level of ``debug=2`` in kamailio.cfg."""
    KSR.info(f"kemi: {clean(text)}\n")


def warning(text: str) -> None:
    """Write at level 0 (WARNING)."""
    KSR.warn(f"kemi: {clean(text)}\n")


def error(text: str) -> None:
    """Write at level -1 (ERROR). A traceback becomes one log line per text line: syslog cuts lines at newlines."""
    for line in clean(text).splitlines():
        KSR.err(f"kemi: {line}\n")
