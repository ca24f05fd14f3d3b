"""Checks of a request before anything else looks at it; route[REQINIT] of the stock configuration."""

from __future__ import annotations

import re

from kemi import log, tables
from kemi.flat.seldom import seldom
from kemi.request import Request
from kemi.verdict import ABSORB, Drop, Reply, Verdict

SCANNER = Drop("scanner", quiet=True)
FLOOD = Drop("flood", quiet=True)
KEEPALIVE = Reply(200, "Keepalive")

# Module sanity: everything but the checks that real phones fail (see its documentation, the stock file's values).
REQUEST_CHECKS = 17895
URI_CHECKS = 7

# User-Agents that are remembered.
LONGEST_NAME = 100
MOST_NAMES = 500

# The table of modparam htable in kamailio.cfg; its entries expire by themselves.
FLOOD_TABLE = "ipban"


class Agents:
    """Is a User-Agent a scanner? One that contains one of ``words``, in any case, is."""

    __slots__ = ("_find", "known")

    def __init__(self, words: tuple[str, ...]) -> None:
        #: What has been found of those that came lately.
        self.known: dict[str, bool] = {}
        self._find = re.compile("|".join(map(re.escape, words)), re.IGNORECASE).search if words else None

    def is_scanner(self, name: str) -> bool:
        """Does the name contain one of the words?"""
        try:
            found = self.known[name]
        except KeyError:
            found = self.find(name)
        return found

    @seldom
    def find(self, name: str) -> bool:
        """The same of one that has not come lately."""
        is_scanner = bool(self._find and self._find(name))
        # Most phones say one of a few short names; what strangers say shall not fill the memory.
        if len(name) <= LONGEST_NAME:
            if len(self.known) >= MOST_NAMES:
                self.known.clear()
            self.known[name] = is_scanner
        return is_scanner


@seldom
def refuse_flood(request: Request) -> Verdict | None:
    """Drop what comes from an address above pike's rate, and all from there while ``ipban`` remembers it.

    Asked once :meth:`Request.floods` has said so. We ourselves are heard all the same.
    """
    if request.is_looped:
        return None
    if not tables.holds(FLOOD_TABLE, request.source_ip):
        log.warning(f"flood from {request.source}: banned")
        tables.put(FLOOD_TABLE, request.source_ip)
    return FLOOD


@seldom
def refuse_malformed(request: Request) -> Verdict:
    """Module sanity has found something, and has answered."""
    log.warning(f"malformed request from {request.source}")
    request.taken = True
    return ABSORB


def answer_keepalive(request: Request) -> Verdict | None:
    """OPTIONS to the server itself, which phones and monitors send to see whether it lives."""
    if request.has_uri_user:
        return None
    # The stock file takes a request-URI that it cannot read for its own here, as its conditions count an error as true.
    if request.is_for_us or not request.has_readable_uri:
        return KEEPALIVE
    return None
