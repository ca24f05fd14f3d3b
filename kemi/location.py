"""Finding the callee; route[LOCATION] and route[SIPOUT] of the stock configuration."""

from __future__ import annotations

import re
from collections.abc import Callable

from kemi.flags import Flag
from kemi.outcome import Lookup
from kemi.request import Request
from kemi.verdict import RELAY, Reply, Verdict

NOT_FOUND = Reply(404, "Not Found", stateful=True)
METHOD_NOT_ALLOWED = Reply(405, "Method Not Allowed", stateful=True)
ADDRESS_INCOMPLETE = Reply(484, "Address Incomplete")


SPEED_DIAL = re.compile(r"[0-9][0-9]")


def is_short_number(request: Request) -> bool:
    """Two digits, which a user may have given a meaning."""
    return bool(SPEED_DIAL.fullmatch(request.uri_user))


def to_registered_contacts(request: Request, instead: Callable[[Request], Verdict | None]) -> Verdict:
    """Relay to all contacts that the callee has registered; what happens ``instead`` if there are none."""
    found = request.look_up()
    if found is Lookup.FOUND:
        if request.is_invite:
            request.account(Flag.ACCOUNT_MISSED)
        return RELAY
    return instead(request) or (METHOD_NOT_ALLOWED if found is Lookup.METHOD_NOT_ALLOWED else NOT_FOUND)


def to_foreign_domain(request: Request) -> Verdict:
    """Relay to the domain in the request-URI."""
    request.append_header("P-Hint", "outbound")
    return RELAY
