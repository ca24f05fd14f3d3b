"""Telephone numbers go to a carrier; where it is down or full, to the next one."""

from kemi.branch import Failure
from kemi.gateway import INTERNATIONAL, NOT_ALLOWED
from kemi.request import Request
from kemi.router import Router
from kemi.rule import only
from kemi.verdict import RELAY, Relay, Verdict

# The carrier's own trouble. A busy callee (486) is busy through every carrier.
CARRIER_FAILED = "5[0-9][0-9]"


class Routes(Router):
    carriers = ("203.0.113.10", "203.0.113.20", "203.0.113.30:5070")
    #: Milliseconds that a carrier has to say anything, if only 100 Trying.
    patience = 2000

    @only("INVITE")
    def to_pstn(self, request: Request) -> Verdict | None:
        number = request.uri_user
        if not INTERNATIONAL.fullmatch(number):
            return super().to_pstn(request)
        if not request.is_from_us:
            return NOT_ALLOWED
        number = number.removeprefix("00").removeprefix("+")
        first, *others = [f"sip:+{number}@{carrier}" for carrier in self.carriers]
        request.remember_alternatives(others)
        request.set_patience(first_reply=self.patience)
        request.set_uri(first)
        return RELAY

    def try_elsewhere(self, failure: Failure) -> Relay | None:
        if not (failure.was_silent or failure.has_status(CARRIER_FAILED)):
            return None
        carrier = failure.next_alternative()
        if not carrier:
            return None
        failure.set_patience(first_reply=self.patience)
        failure.set_uri(carrier)
        return RELAY
