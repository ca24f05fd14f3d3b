"""An event of Kamailio, in Python: warn when a phone is gone that has not logged out."""

import KSR

from kemi import log
from kemi.http import HttpRequest
from kemi.router import Router

EXPIRED = "usrloc:contact-expired"


class Routes(Router):
    def on_event(self, name: str, http_request: HttpRequest) -> None:
        if name != EXPIRED:
            return super().on_event(name, http_request)
        # What an event tells is in pseudo-variables of its module; no property stands for them.
        user, contact = KSR.pv.gete("$ulc(exp=>aor)"), KSR.pv.gete("$ulc(exp=>addr)")
        log.warning(f"lost phone: {user} at {contact} has not renewed its registration")
        return None
