"""Requests within a dialog; route[WITHINDLG] of the stock configuration."""

from __future__ import annotations

from collections.abc import Callable

from kemi.flags import Flag
from kemi.outcome import Transaction
from kemi.request import Request
from kemi.verdict import RELAY, Drop, Reply, Verdict

# The answer to an INVITE that we refused without a transaction, for one.
STRAY_ACK = Drop("ACK for nothing", quiet=True)
NOT_HERE = Reply(404, "Not here")


def route(
    request: Request,
    *,
    with_nat: bool,
    statistics: bool,
    record_routed: frozenset[str],
    subscribe: Callable[[Request], Verdict],
) -> Verdict:
    """Send a request with a To-tag along the route that its dialog recorded, and nowhere else."""
    if request.follow_recorded_route():
        if with_nat and not request.has_destination:
            request.follow_contact_alias()
        if statistics:
            request.update_dialog()
        if request.is_bye:
            request.account(Flag.ACCOUNT)
            request.account(Flag.ACCOUNT_FAILED)
        elif request.method in record_routed:
            # They make a dialog within the dialog (RFC 6665, section 4.4.1; RFC 3515).
            request.record_route()
        return RELAY
    if request.is_subscribe and request.is_for_us:
        return subscribe(request)
    if request.is_ack:
        # Without a recorded route it can only be for a failure that we sent, or forwarded, ourselves.
        return RELAY if request.match_transaction() is Transaction.MATCHED else STRAY_ACK
    return NOT_HERE
