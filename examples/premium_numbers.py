"""Refuse calls to premium-rate numbers."""

from kemi.request import Request
from kemi.router import Router
from kemi.verdict import Reply, Verdict


class Routes(Router):
    def to_registered_contacts(self, request: Request) -> Verdict | None:
        if request.uri_user.startswith("0900"):
            return Reply(403, "No premium numbers")
        return super().to_registered_contacts(request)
