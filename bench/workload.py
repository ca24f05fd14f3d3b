"""Work for a server. A workload knows what must be answered, and raises when something else is."""

from __future__ import annotations

import itertools
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import ClassVar, Self

from bench.batch import Inbox, Outbox, phone_socket
from bench.server import Server

# Another address than the server's: Kamailio spares what it sends to itself some checks.
CALLER_ADDRESS = "127.0.0.2"
# Requests on their way at the same time: the worker never waits, no socket buffer overflows.
WINDOW = 96
# Seconds between two looks for answers. A load that slept until one comes would be woken by the server, and the more
# often the slower the server is: on a virtual machine that costs as much as the answer itself.
LOOK_EVERY = 0.0002

#: For whatever must be unique in all messages of this process.
numbers = itertools.count(1)


class WrongAnswersError(Exception):
    """A contestant answered otherwise than it has to: what it costs must not be compared."""


class Workload(ABC):
    """One kind of work for one server, in units that the report counts (a request, a call)."""

    #: What the report calls it.
    title: ClassVar[str]
    unit: ClassVar[str] = "request"
    #: Seconds after which an answer counts as lost.
    patience: ClassVar[float] = 10.0

    def __init__(self, server: Server) -> None:
        self.server = server
        #: How many units the next :meth:`play` is; set by :meth:`prepare`.
        self.units = 0
        self.phone = phone_socket(CALLER_ADDRESS, (server.address, server.port), self.patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.phone.close()

    @abstractmethod
    def prepare(self, count: int) -> None:
        """Make ready for about `count` units; not part of what is measured."""

    @abstractmethod
    def play(self) -> None:
        """Do what was prepared. Raises WrongAnswersError, or TimeoutError when an answer is missing."""

    def check(self, expected: Mapping[str, int], found: Counter[str]) -> None:
        """Raises WrongAnswersError unless exactly what was expected came."""
        if dict(expected) != dict(found):
            raise WrongAnswersError(
                f"{self.title}: expected {dict(expected)} from {self.server.name}, found {dict(found)}; "
                f"its log is {self.server.log}"
            )

    def missing(self, what: str) -> TimeoutError:
        """The error for an answer that did not come."""
        return TimeoutError(
            f"{self.title}: waited {self.patience:g} s for {what} from {self.server.name}, nothing came; "
            f"its log is {self.server.log}"
        )

    def ask(self, data: bytes) -> bytes:
        """Send one request, outside what is measured, and return its answer."""
        self.phone.send(data)
        return self.receive("an answer")

    def receive(self, what: str) -> bytes:
        try:
            return self.phone.recv(65535)
        except BlockingIOError:
            raise self.missing(what) from None


class Requests(Workload):
    """Requests that the server answers itself, each with one answer."""

    status: ClassVar[str] = "200"

    @abstractmethod
    def message(self, number: int) -> bytes:
        """The request of that number; no number comes twice."""

    def prepare(self, count: int) -> None:
        self.units = count
        self.datagrams = [self.message(next(numbers)) for _ in range(count)]
        self._outbox = Outbox(self.phone, self.datagrams)
        self._inbox = Inbox(self.phone, WINDOW)

    def play(self) -> None:
        outbox, inbox = self._outbox, self._inbox
        statuses: Counter[bytes] = Counter()
        waiting = 0
        last = time.monotonic()
        while waiting or outbox.left:
            if outbox.left and waiting <= WINDOW // 2:
                waiting += outbox.send(WINDOW - waiting)
            time.sleep(LOOK_EVERY)
            got = inbox.receive_now()
            waiting -= got
            statuses.update(inbox.status(position) for position in range(got))
            if got:
                last = time.monotonic()
            elif time.monotonic() > last + self.patience:
                raise self.missing(f"{waiting} answers")
        found = Counter({status.decode("ascii", "replace"): number for status, number in statuses.items()})
        self.check({self.status: self.units}, found)
