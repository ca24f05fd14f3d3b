"""Rules that forget what they have asked for."""

from kemi.branch import Failure
from kemi.request import Request
from kemi.router import Router, Rule
from kemi.verdict import Relay, Reply, Verdict


class Routes(Router):
    def rules(self) -> tuple[Rule, ...]:
        super().rules()  # expect: K211

    def register(self, request: Request) -> Verdict | None:
        if request.from_user != "nobody":
            super().register(request)  # expect: K211
        return None

    def on_failure(self, failure: Failure) -> Reply | Relay | None:
        super().on_failure(failure)  # expect: K211
        return Reply(480, "Later")
