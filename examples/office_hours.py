"""Outside office hours the reception does not ring: one more rule in the list."""

from datetime import datetime, time

from kemi.request import Request
from kemi.router import Router, Rule
from kemi.verdict import Reply, Verdict

CLOSED = Reply(480, "Closed")
SATURDAY = 5


class Routes(Router):
    opens, closes = time(8), time(18)

    def rules(self) -> tuple[Rule, ...]:
        *before, last = super().rules()
        return (*before, self.reception_is_closed, last)

    def reception_is_closed(self, request: Request) -> Verdict | None:
        return CLOSED if request.uri_user == "reception" and not self.is_open() else None

    def is_open(self) -> bool:
        now = self.now()
        return now.weekday() < SATURDAY and self.opens <= now.time() < self.closes

    def now(self) -> datetime:
        """The server's local time."""
        return datetime.now()
