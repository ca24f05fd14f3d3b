"""So many calls a minute for each user. A stolen password can do less harm; a dialler gone wild, too."""

from kemi import tables
from kemi.request import Request
from kemi.router import Router, Rule
from kemi.rule import only
from kemi.verdict import Reply, Verdict

TOO_MANY_CALLS = Reply(403, "Too many calls")

TABLE = "calls"  # rate_limit.cfg declares it


class Routes(Router):
    calls = 10
    seconds = 60

    def rules(self) -> tuple[Rule, ...]:
        rules = list(super().rules())
        # Behind `authenticate`: who the caller is has been proved by then.
        rules.insert(rules.index(self.record_route), self.limit_calls)
        return tuple(rules)

    @only("INVITE")
    def limit_calls(self, request: Request) -> Verdict | None:
        if not request.is_from_us:
            return None
        calls = tables.count(TABLE, f"{request.from_user}@{request.from_domain}", self.seconds)
        return TOO_MANY_CALLS if calls > self.calls else None
