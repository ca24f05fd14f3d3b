"""A server made of the real routes and a fake Kamailio."""

from __future__ import annotations

from collections.abc import Callable

from kemi import features
from kemi.router import Router
from kemi.settings import Settings
from kemi.testing.fake_server import FakeServer
from kemi.testing.ksr import FakeKSR
from kemi.testing.message import Message
from kemi.testing.state import Reply

HTABLES = ("ipban", "authfail", "authban", "authok")
MakeServer = Callable[..., "Server"]


class Server:
    """The routes on the fake server, with their guard; ``receive`` puts one request through them."""

    def __init__(self, ksr: FakeKSR, settings: Settings, router: type[Router]) -> None:
        self.ksr = ksr
        self._fake = FakeServer(ksr, router(settings, features.read(settings)))
        self.handler = self._fake.handler

    def receive(self, message: Message) -> Reply | None:
        """Route a request; the answer that it got, None if it was relayed or dropped."""
        answers = self._fake.handle(message, guarded=True).replies
        assert len(answers) <= 1, f"one request, {len(answers)} answers: {answers}"
        return answers[0] if answers else None

    def receive_reply(self, message: Message) -> None:
        """Route a reply of the callee: first outside, then within its transaction."""
        self._fake.handle(message, guarded=True)

    def fail(self, status: int) -> None:
        """All branches of the request at hand have failed."""
        self.ksr.fail(status)
        assert self.handler.ksr_on_failure(None) == 1

    def register(self, user: str, contact: str, *, received: str | None = None, nated: bool = False) -> None:
        """Have a contact in the location table without going through a REGISTER."""
        from kemi.flags import BranchFlag
        from kemi.testing.state import Contact

        flags = frozenset({int(BranchFlag.NATED_DESTINATION)} if nated else ())
        self.ksr.location[user] = [Contact(contact, received=received, flags=flags)]
