"""A hunt group: its phones ring one after the other until somebody answers (serial forking)."""

from typing import ClassVar

from kemi.branch import Failure
from kemi.outcome import Lookup
from kemi.request import Request
from kemi.router import Router
from kemi.verdict import RELAY, Relay, Reply, Verdict

NOBODY_HERE = Reply(480, "Nobody here", stateful=True)


class Routes(Router):
    groups: ClassVar = {
        "support": ("sip:bob@example.com", "sip:carol@example.com", "sip:dave@example.com"),
        "sales": ("sip:carol@example.com", "sip:bob@example.com"),
    }
    #: Milliseconds that each phone rings.
    ringing = 15_000

    def to_registered_contacts(self, request: Request) -> Verdict | None:
        members = self.groups.get(request.uri_user)
        if members is None or not request.is_invite:
            return super().to_registered_contacts(request)
        request.remember_called_user(request.uri_user)  # whose mailbox it is, WITH_VOICEMAIL
        request.remember_alternatives(members)
        return self.ring_next(request) or NOBODY_HERE

    def try_elsewhere(self, failure: Failure) -> Relay | None:
        return self.ring_next(failure)

    def ring_next(self, call: Request | Failure) -> Relay | None:
        """To the next member who has a phone; None if there is none left, or if the call is for no group."""
        while member := call.next_alternative():
            call.set_uri(member)
            if call.look_up() is Lookup.FOUND:
                call.set_patience(answer=self.ringing)
                return RELAY
        return None
