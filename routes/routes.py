"""Your rules. After a change: make reload.

A rule is a method that takes the request and returns a verdict, or None for "no opinion". All of them, in the order in
which they are asked, are in kemi/router.py; override one, wrap it with super(), or return another list from rules().

kemi.yaml names the class that serves; registrar.yaml names the one for the registrars of a cluster.
"""

from __future__ import annotations

from kemi.clustered import Registrar

# from kemi.request import Request
from kemi.router import Router

# from kemi.verdict import Reply, Verdict


class Routes(Router):
    """What Router does, with your changes."""

    # def to_registered_contacts(self, request: Request) -> Verdict | None:
    #     if request.uri_user.startswith("0900"):
    #         return Reply(403, "No premium numbers")
    #     return super().to_registered_contacts(request)


class ClusterRoutes(Routes, Registrar):
    """The same on a registrar of a cluster: your changes, and super() in them leads to what Registrar does."""
