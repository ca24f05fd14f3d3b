"""The routes under test on a fake Kamailio: what a phone sends goes in, what became of it comes out."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kemi import handler, settings_file
from kemi.flags import BranchFlag
from kemi.router import Router
from kemi.testing import own_modules
from kemi.testing.builders import CALLEE, PRIVATE_CALLEE, reply, sdp, within
from kemi.testing.handled import Handled
from kemi.testing.journal import Journal
from kemi.testing.ksr import FakeKSR
from kemi.testing.message import Message
from kemi.testing.native import FakeMessage
from kemi.testing.state import Contact, Handling, Relay
from kemi.testing.uri import Uri


class FakeServer:
    """A handler with its router, called as Kamailio calls it. The fake behind it must be in use (fixture ``ksr``).

    `routes` is the router itself, `ksr` the fake, `handled` all messages so far.
    """

    def __init__(self, ksr: FakeKSR, router: Router, folder: Path | None = None) -> None:
        self.ksr = ksr
        self.routes = router
        self._journal = Journal(ksr)
        self._journal.watch(router)
        self.handler = handler.Handler(router, folder)
        ksr.handler = self.handler
        self.handled: list[Handled] = []
        #: The INVITE and the 200 of the last call, as they were passed on; the CSeq of its last request.
        self._call: tuple[Relay, Handling] | None = None
        self._cseq = 1
        #: By request what its branches failed with, None for those before it was tried elsewhere (tm's
        #: failure_reply_mode 3 forgets them); Call-IDs that were cancelled.
        self._failures: dict[tuple[str, str], list[Message | None]] = {}
        self._cancelled: set[str] = set()
        #: How many branches of a request there were at its last provisional reply.
        self._rang: dict[tuple[str, str], int] = {}
        #: The reply that went on to the caller.
        self._passed_back: Message | None = None

    @classmethod
    def load(cls, ksr: FakeKSR, settings: Path | None) -> FakeServer:
        """With the settings file and the router that it names, loaded and started as Kamailio does.

        Raises SettingsError for settings, defines or modules that do not fit, and what the user's own module raises.
        """
        if settings is not None:
            ksr.defines["KEMI_SETTINGS"] = f'"{settings}"'
            module, _, _ = settings_file.load(settings).router.partition(":")
            own_modules.choose(module, settings.parent)
        built = handler.build()
        server = cls(ksr, built.router, built.folder)
        # As in the first worker; a test is not to see what that called.
        server.handler.child_init(1)
        ksr.calls.clear()
        ksr.variables.clear()
        return server

    # -- messages --------------------------------------------------------------------------------------------------

    def handle(self, message: Message, *, guarded: bool = False) -> Handled:
        """Route a request, or a reply to a request that was relayed before.

        What a rule raises is raised here; with `guarded` it is left to the handler's guard, as on a server.
        """
        __tracebackhide__ = True
        if message.is_reply:
            return self._tell(message, lambda: self._handle_reply(message), guarded)
        return self._tell(message, lambda: self._handle_request(message), guarded)

    def answer(
        self, status: int, *, reason: str = "", body: str | None = None, to: Relay | None = None
    ) -> Handled:
        """The callee answers what was relayed last (or `to` that): from where it went to, with SDP where it has to be.

        When all branches of a request have failed, its failure callback runs as well.
        """
        relay = to or self._last_relay()
        destination = Uri.find(relay.destination)
        source = (destination.host, destination.port or 5060) if destination else (CALLEE, 5060)
        if not _is_address(source[0]):
            source = (CALLEE, source[1])
        if body is None:
            has_sdp = status in (183, *range(200, 300)) and relay.message.method == "INVITE"
            body = sdp(source[0]) if has_sdp else ""
        contact = f"<{relay.message.uri}>"
        return self.handle(
            reply(status, relay.message, reason=reason, body=body, source=source, contact=contact)
        )

    def in_dialog(self, method: str, *, by_callee: bool = False, body: str = "") -> Handled:
        """The next request within the call that was answered last: BYE, a re-INVITE, ACK ...

        It takes the recorded route, and comes from where the caller (or callee) was before. Raises RuntimeError
        without a call.
        """
        if self._call is None:
            raise RuntimeError("no call was answered: handle an INVITE and let it be answered with 200 first")
        relay, answered = self._call
        if method != "ACK":
            self._cseq += 1
        message = within(
            relay.message, answered.outgoing, method, by_callee=by_callee, cseq=self._cseq, body=body
        )
        message.source = answered.message.source if by_callee else relay.message.source
        return self.handle(message)

    def event(self, name: str, message: Message) -> Handled:
        """An event of a module whose ``event_callback`` is "ksr_event": ``router.event("xhttp:request", message)``."""

        def happen() -> None:
            self.ksr.receive(message)
            self.handler.ksr_event(None, name)

        return self._tell(message, happen, guarded=False)

    def fail(self, status: int = 408) -> Handled:
        """All branches of the request that was relayed last have failed; 408 if nobody answered.

        Raises RuntimeError if none was relayed.
        """
        relay = self._last_relay()
        nobody = _without_our_via(reply(status, relay.message))
        return self._tell(
            relay.message, lambda: self._fail(relay, nobody, timed_out=status == 408), guarded=False
        )

    def register(self, user: str, *, nated: bool = False, contact: str = "", received: str = "") -> Contact:
        """Have a phone in the location table, as if it had registered; it comes after those that are there.

        With `nated` it is behind a NAT: its contact is private, and it is reached where it `received` us.
        """
        row = Contact(
            contact or f"sip:{user}@{PRIVATE_CALLEE if nated else CALLEE}:5060",
            received or (f"sip:{CALLEE}:33333" if nated else None),
            frozenset({int(BranchFlag.NATED_DESTINATION)} if nated else ()),
        )
        self.ksr.location.setdefault(user, []).append(row)
        return row

    def __repr__(self) -> str:
        return f"<{type(self.routes).__name__} on a fake Kamailio {self.ksr.version}>"

    # -- as Kamailio does ------------------------------------------------------------------------------------------

    def _handle_request(self, message: Message) -> None:
        self.ksr.receive(message)
        self.handler.ksr_request_route(FakeMessage(self.ksr))
        if message.method == "CANCEL":
            self._cancelled.add(message.header("Call-ID") or "")

    def _handle_reply(self, message: Message) -> None:
        self.ksr.receive(message)
        self.handler.ksr_reply_route(None)
        if self.ksr.dropped:
            return
        relays = [relay for relay in self.ksr.relayed if _key(relay.message) == _key(message)]
        if not relays:
            return
        self.ksr.receive(message, in_transaction=True)
        if relays[-1].on_reply:
            getattr(self.handler, relays[-1].on_reply)(None)
        if 200 <= message.status < 300 and message.method == "INVITE":
            self._call = relays[-1], self.ksr.now
            self._cseq = 1
        outgoing = _without_our_via(self.ksr.now.outgoing)
        if message.status < 200:
            self._rang[_key(message)] = len(relays)
        if message.status < 300:
            self._passed_back = outgoing
            return
        failures = self._failures.setdefault(_key(message), [])
        failures.append(outgoing)
        if len(failures) == len(relays):
            latest = [failure for failure in failures if failure is not None]
            self._fail(relays[-1], min(latest, key=lambda failure: failure.status))

    def _fail(self, relay: Relay, best: Message, *, timed_out: bool = False) -> None:
        relays = [each for each in self.ksr.relayed if _key(each.message) == _key(relay.message)]
        # From here on only new branches can fail.
        self._failures[_key(relay.message)] = [None] * len(relays)
        answers = len(self.ksr.replies)
        self.ksr.fail(
            best.status,
            cancelled=(relay.message.header("Call-ID") or "") in self._cancelled,
            timed_out=timed_out,
            rang=self._rang.get(_key(relay.message)) == len(relays),
        )
        if relay.on_failure:
            getattr(self.handler, relay.on_failure)(None)
        sent = len([each for each in self.ksr.relayed if _key(each.message) == _key(relay.message)])
        if len(self.ksr.replies) == answers and sent == len(relays):
            self._passed_back = best

    def _last_relay(self) -> Relay:
        for relay in reversed(self.ksr.relayed):
            if relay.message.method not in ("ACK", "CANCEL"):
                return relay
        raise RuntimeError("no request was relayed that could be answered: handle one first")

    # -- what happened ---------------------------------------------------------------------------------------------

    def _tell(self, message: Message, do: Callable[[], None], guarded: bool) -> Handled:
        __tracebackhide__ = True
        ksr = self.ksr
        records: tuple[list[Any], ...] = (ksr.replies, ksr.relayed, ksr.media, ksr.log)
        before = [len(record) for record in records]
        misused, caught = len(ksr.misuse), self.handler.exceptions
        self._journal.begin()
        self._passed_back = None
        do()
        replies, relays, media, log = (record[count:] for record, count in zip(records, before, strict=True))
        journal = self._journal
        handled = Handled(
            message, journal.steps, journal.other_calls, replies, relays, self._passed_back, media, log
        )
        self.handled.append(handled)
        if self.handler.exceptions != caught and not guarded:
            # It is told by being raised, so it need not be told as misuse again.
            del ksr.misuse[misused:]
            for step in journal.steps:
                if step.error is not None:
                    raise step.error.with_traceback(step.trace)
            raise _caught(handled)
        return handled


def _caught(handled: Handled) -> AssertionError:
    """What the guard logged, where no rule raised it."""
    report = "\n".join(line.text.rstrip("\n") for line in handled.log if line.level == "err")
    return AssertionError(f"the handler's guard caught an exception:\n{report}")


def _without_our_via(reply: Message) -> Message:
    """As the caller gets it."""
    passed_back = reply.without_header("Via")
    passed_back.headers = [*(("Via", via) for via in reply.header_values("Via")[1:]), *passed_back.headers]
    return passed_back


def _key(message: Message) -> tuple[str, str]:
    return message.header("Call-ID") or "", message.header("CSeq") or ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
