"""Rules without an opinion, called for what they do."""

from kemi.branch import Branch
from kemi.request import Request
from kemi.router import Router
from kemi.verdict import Verdict


class Routes(Router):
    def find_nat(self, request: Request) -> Verdict | None:
        super().find_nat(request)
        if request.source_is_nated:
            request.append_header("X-NAT", "yes")
        return None

    def on_branch(self, branch: Branch) -> None:
        super().on_branch(branch)

    def register(self, request: Request) -> Verdict | None:
        verdict = super().register(request)
        self.cancel(request)
        return verdict
