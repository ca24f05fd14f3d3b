"""KSR.rr: Record-Route and Route (RFC 3261, section 16)."""

from __future__ import annotations

import re

from kemi.testing.fake import NO, YES, Family, code
from kemi.testing.uri import Uri, address_uri, addresses


class Rr(Family):
    """Recorded routes. A preset route counts as the server's counts it: own top Route, then the next."""

    def record_route(self) -> int:
        if self.now.record_routed:
            return NO
        self.now.record_routed = True
        return YES

    def add_rr_param(self, params: str) -> int:
        if not params.startswith(";"):
            raise ValueError(f"KSR.rr.add_rr_param: expected ';name=value', found {params!r}")
        self.now.record_route_params += params
        return YES

    def _routes(self) -> list[str]:
        return [route for value in self.now.message.header_values("Route") for route in addresses(value)]

    def loose_route(self) -> int:
        routes = self._routes()
        if not routes:
            return NO
        top = Uri.find(address_uri(routes[0]))
        if top is None:
            return NO
        if self.ksr.is_own(top.host, top.port):
            self.now.route_params = top.params
            routes = routes[1:]
            if routes and top.param("r2") is not None:
                routes = routes[1:]
        self._keep(routes)
        if routes:
            self.now.first.destination = address_uri(routes[0])
        return YES

    def _keep(self, routes: list[str]) -> None:
        """Leave only these routes, where the first Route header stood."""
        headers = self.now.outgoing.headers
        place = next(index for index, (name, _) in enumerate(headers) if name.lower() == "route")
        rest = [(name, value) for name, value in headers if name.lower() != "route"]
        self.now.outgoing.headers = [*rest[:place], *(("Route", route) for route in routes), *rest[place:]]

    def check_route_param(self, expression: str) -> int:
        return code(re.search(expression, self._params(), re.IGNORECASE) is not None)

    def is_direction(self, direction: str) -> int:
        if direction not in ("upstream", "downstream"):
            raise ValueError(f"KSR.rr.is_direction: expected upstream or downstream, found {direction!r}")
        caller = Uri("sip", "", "", None, self._params()).param("ftag")
        upstream = bool(caller) and caller != self.now.message.tag("From")
        return code(upstream == (direction == "upstream"))

    def _params(self) -> str:
        """Parameters of our own top Route, also before loose_route."""
        if self.now.route_params is not None:
            return self.now.route_params
        top = self.now.top_route
        return top.params if top and self.ksr.is_own(top.host, top.port) else ""
