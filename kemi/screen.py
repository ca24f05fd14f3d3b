"""Checks of a request before anything else looks at it; route[REQINIT] of the stock configuration."""

from __future__ import annotations

import re
from collections.abc import Callable

from kemi import log, tables
from kemi.bans import Bans
from kemi.request import Request
from kemi.verdict import ABSORB, Drop, Reply, Verdict

# Module sanity: everything but the checks that real phones fail (see its documentation, the stock file's values).
REQUEST_CHECKS = 17895
URI_CHECKS = 7

# The table of modparam htable in kamailio.cfg; its entries expire by themselves.
FLOOD_TABLE = "ipban"


def scanner_matcher(words: tuple[str, ...]) -> Callable[[str], object]:
    """A function that finds one of ``words`` in a User-Agent, in any case."""
    if not words:
        return lambda _: None
    return re.compile("|".join(map(re.escape, words)), re.IGNORECASE).search


def refuse_flood(request: Request, bans: Bans) -> Verdict | None:
    """Drop what comes from an address above pike's rate, and all from there while ``ipban`` remembers it.

    A phone that has logged in from the same address and port is heard all the same: behind one NAT address there
    may be an attacker and an office full of phones.
    """
    if request.is_looped:
        return None
    source = request.source_ip
    banned = tables.holds(FLOOD_TABLE, source)
    if banned or request.floods():
        if bans.knows_endpoint(request):
            return None
        if not banned:
            log.warning(f"flood from {request.source}: banned")
            tables.put(FLOOD_TABLE, source)
        return Drop("flood")
    return None


def refuse_malformed(request: Request) -> Verdict | None:
    """Let module sanity look at the message; it answers a malformed one itself."""
    if request.is_sane(REQUEST_CHECKS, URI_CHECKS):
        return None
    log.warning(f"malformed request from {request.source}")
    request.taken = True
    return ABSORB


def answer_keepalive(request: Request) -> Verdict | None:
    """OPTIONS to the server itself, which phones and monitors send to see whether it lives."""
    if not request.is_options or request.has_uri_user:
        return None
    # The stock file takes a request-URI that it cannot read for its own here, as its conditions count an error as true.
    if request.is_for_us or not request.has_readable_uri:
        return Reply(200, "Keepalive")
    return None
