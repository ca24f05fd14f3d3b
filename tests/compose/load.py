"""A running load of registrations and calls, which counts what was lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from kemi.deadline import DeadlineError, wait_until
from kemi.testing.client import Client
from kemi.testing.message import Message
from tests.compose.phone import PATIENCE, Call, RefusedError, Target, invitation, phone, register
from tests.compose.stack import PHONES, Stack

_EVERY_SECONDS = {"REGISTER": 0.5, "call": 1.0}
_ELSEWHERE_SECONDS = 8.0
"""Until a phone with two servers asks the other: RFC 3263 (section 4.3) would wait 32, phones let one choose."""
_RECOVERED_SECONDS = 2 * PATIENCE
"""Until one that began after a fault has succeeded: each thread may be waiting for the last one that failed."""


@dataclass(frozen=True)
class Outcome:
    """One registration or call: whose, when it began, how long it took, what came of it ("200", "500", "no answer")."""

    kind: str
    who: str
    began: float
    seconds: float
    result: str

    @property
    def ended(self) -> float:
        return self.began + self.seconds


class _User:
    """A phone that knows one or more servers, and goes to the next one when one does not answer."""

    def __init__(self, stack: Stack, name: str, address: str, servers: Sequence[Target]) -> None:
        self._clients = [phone(stack, name, address, server=server) for server in servers]
        self._seconds = PATIENCE if len(servers) == 1 else _ELSEWHERE_SECONDS
        self._registered = float("-inf")

    @property
    def client(self) -> Client:
        """The phone at the server that it uses."""
        return self._clients[0]

    def register(self) -> str:
        """The status of the answer to a REGISTER."""
        answer = self._ask(lambda client: register(client, seconds=self._seconds))
        self._registered = time.monotonic()
        return str(answer.status)

    def refresh(self, seconds: float) -> None:
        """Register, if the last time is so long ago."""
        if time.monotonic() - self._registered > seconds:
            self.register()

    def call(self, other: _User) -> None:
        """From INVITE to BYE. Raises RefusedError, DeadlineError."""
        invite = self._ask(lambda client: invitation(client, other.client.uri, self._seconds))
        Call(self.client, other.client, invite).hang_up()

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def _ask(self, ask: Callable[[Client], Message]) -> Message:
        """At one server after the other, until one answers. Raises DeadlineError."""
        for _ in self._clients[1:]:
            try:
                return ask(self.client)
            except DeadlineError:
                self._clients.append(self._clients.pop(0))
        return ask(self.client)


class Load:
    """Users who register every half second, and pairs who call each other every second.

    With several `servers` every user has another one first, and both of a pair register every `refresh` seconds.
    """

    def __init__(
        self,
        stack: Stack,
        registrants: Sequence[str],
        pairs: Sequence[tuple[str, str]],
        servers: Sequence[Target] = (Target(),),
        refresh: float = float("inf"),
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._users: list[_User] = []
        self._refresh = refresh
        names = [*registrants, *(name for pair in pairs for name in pair)]
        known = {}
        for number, name in enumerate(names):
            first = number % len(servers)
            user = _User(stack, name, PHONES[number], [*servers[first:], *servers[:first]])
            known[name] = user
            self._users.append(user)
        for name in registrants:
            self._thread("REGISTER", name, known[name].register)
        for caller, callee in pairs:
            for name in (caller, callee):  # who has logged in is not taken for a flood
                assert known[name].register() == "200"
            self._thread(
                "call", f"{caller} calling {callee}", partial(self._call, known[caller], known[callee])
            )

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        for user in self._users:
            user.close()

    def since(self, kind: str, moment: float = 0) -> list[Outcome]:
        """Those that were under way at the moment, or began later."""
        return [one for one in self.outcomes if one.kind == kind and one.ended >= moment]

    def results(self, kind: str, moment: float = 0) -> Counter[str]:
        """How often what came out of these."""
        return Counter(one.result for one in self.since(kind, moment))

    def cost(self, kind: str, moment: float) -> str:
        """For a report: how many of these were lost and what came of them, and the longest that was not."""
        counted = self.results(kind, moment)
        failed = {result: number for result, number in counted.items() if result != "200"}
        what = ", ".join(f"{number} x {result}" for result, number in sorted(failed.items()))
        longest = max((one.seconds for one in self.since(kind, moment) if one.result == "200"), default=0)
        lost = f"{sum(failed.values())} of {counted.total()} {kind}s lost" + (f" ({what})" if what else "")
        return f"{lost}, the longest of the others took {longest:.1f} s"

    def last_failure(self) -> float:
        """When the last one that failed had begun; 0 if none has."""
        return max((one.began for one in self.outcomes if one.result != "200"), default=0)

    def wait_for_success(self) -> None:
        """Wait until everybody has succeeded twice in a row from now on."""
        now = time.monotonic()
        for thread in self._threads:
            results = partial(self._results_of, thread.name, now)
            try:
                wait_until(thread.name, lambda one=results: one()[-2:] == ["200", "200"], _RECOVERED_SECONDS)  # type: ignore[misc]
            except DeadlineError:
                raise DeadlineError(
                    f"waited {_RECOVERED_SECONDS:g} s for {thread.name} to succeed twice in a row; found {results()}"
                ) from None

    def _results_of(self, who: str, since: float) -> list[str]:
        return [one.result for one in self.outcomes if one.who == who and one.began >= since]

    def _thread(self, kind: str, who: str, once: Callable[[], str]) -> None:
        def run() -> None:
            while not self._ended.is_set():
                began = time.monotonic()
                try:
                    result = once()
                except DeadlineError:
                    result = "no answer"
                except RefusedError as refused:
                    result = str(refused)
                self.outcomes.append(Outcome(kind, who, began, time.monotonic() - began, result))
                self._ended.wait(max(_EVERY_SECONDS[kind] - (time.monotonic() - began), 0))

        self._threads.append(threading.Thread(target=run, name=who, daemon=True))

    def _call(self, caller: _User, callee: _User) -> str:
        for one in (caller, callee):
            one.refresh(self._refresh)
        try:
            caller.call(callee)
        except RefusedError as refused:
            if str(refused) != "407":
                raise
            # A server that has started anew does not know the nonce any more.
            caller.call(callee)
        return "200"


@contextmanager
def running(
    stack: Stack,
    registrants: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    servers: Sequence[Target] = (Target(),),
    refresh: float = float("inf"),
) -> Iterator[Load]:
    """The load for the block, of which nothing was lost until then."""
    load = Load(stack, registrants, pairs, servers, refresh)
    load.start()
    try:
        load.wait_for_success()
        assert [one for one in load.outcomes if one.result != "200"] == []
        yield load
    finally:
        load.stop()
