"""Record the calls to some users. Whoever is recorded must be told: let an announcement do it."""

from kemi import log
from kemi.branch import Branch
from kemi.reply import IncomingReply
from kemi.request import Request
from kemi.router import Router
from kemi.verdict import Verdict


class Routes(Router):
    recorded = frozenset({"support", "orders"})

    def to_registered_contacts(self, request: Request) -> Verdict | None:
        request.remember_called_user(request.uri_user)
        return super().to_registered_contacts(request)

    def on_branch(self, branch: Branch) -> None:
        super().on_branch(branch)
        if branch.called_user in self.recorded and not branch.dropped:
            self.record_or_tell(branch)  # the caller's voice

    def on_reply(self, reply: IncomingReply) -> None:
        super().on_reply(reply)
        if reply.called_user in self.recorded and 200 <= reply.status < 300:
            self.record_or_tell(reply)  # the callee's

    def record_or_tell(self, message: Branch | IncomingReply) -> None:
        if not self.record(message):
            log.error(f"call {message.call_id} to {message.called_user} is not recorded")
