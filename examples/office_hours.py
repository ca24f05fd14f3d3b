"""Outside office hours the reception does not ring: one more rule in the list."""

from datetime import datetime

from kemi.request import Request
from kemi.router import Router, Rule
from kemi.verdict import Reply, Verdict

OPENS, CLOSES = 8, 18  # hours of the server's local time


class Routes(Router):
    def rules(self) -> tuple[Rule, ...]:
        *before, last = super().rules()
        return (*before, self.reception_is_closed, last)

    def reception_is_closed(self, request: Request) -> Verdict | None:
        if request.uri_user == "reception" and not OPENS <= self.now().hour < CLOSES:
            return Reply(480, "Closed")
        return None

    def now(self) -> datetime:
        return datetime.now()
