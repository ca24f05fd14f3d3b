"""Calls to the telephone network; route[PSTN] of the stock configuration."""

from __future__ import annotations

import re

from kemi import custom, log
from kemi.request import Request
from kemi.verdict import RELAY, Reply, Verdict

# International format: + or 00, then the country code.
INTERNATIONAL = re.compile(r"(\+|00)[1-9][0-9]{3,20}")

NOT_ALLOWED = Reply(403, "Not Allowed")


def to_pstn(request: Request) -> Verdict | None:
    """Numbers in international format go to the gateway as +number, for our own users only."""
    gateway = custom.pstn_gateway()
    if not gateway:
        log.warning("WITH_PSTN is defined, but pstn.gw_ip is empty: no call goes to a gateway")
        return None
    number = request.uri_user
    if not INTERNATIONAL.fullmatch(number):
        return None
    if not request.is_from_us:
        return NOT_ALLOWED
    if number.startswith("00"):
        number = "+" + number[2:]
    request.set_uri(f"sip:{number}@{gateway}")
    return RELAY
