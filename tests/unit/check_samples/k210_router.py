"""Attributes that a router does not have."""

from kemi.request import Request
from kemi.router import Router, Rule
from kemi.verdict import Verdict


class Routes(Router):
    def rules(self) -> tuple[Rule, ...]:
        return (*super().rules(), self.premium_numbres)  # expect: K210

    def premium_numbers(self, request: Request) -> Verdict | None:
        if self.prefix in request.uri_user:  # expect: K210
            return None
        return super().to_pstm(request)  # expect: K210
