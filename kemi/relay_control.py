"""RTPProxy's control protocol over UDP, as far as whoever watches a relay needs it."""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from kemi.deadline import DeadlineError

_ACTIVE_SESSIONS = re.compile(r"^active sessions: (\d+)", re.MULTILINE)


# Counters of the command G, in the order in which RelayTotals has them.
_TOTALS = (
    "nsess_created",
    "nsess_destroyed",
    "nsess_timeout",
    "npkts_rcvd",
    "npkts_relayed",
    "npkts_discard",
)


class RelayError(Exception):
    """A relay is not there, or answers what no relay answers."""


@dataclass(frozen=True)
class RelayTotals:
    """What a relay has counted since it started. A session is one media stream of a call, both directions."""

    created: int
    ended: int
    #: Ended because no packet came for a while.
    timed_out: int
    packets_received: int
    packets_relayed: int
    packets_discarded: int

    @property
    def active(self) -> int:
        """Sessions that hold ports now."""
        return self.created - self.ended


class RelayControl:
    """Commands to the relay at an address and port. Sockets are opened within `inside()`: in a namespace, say."""

    def __init__(
        self, address: str, port: int, inside: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        self.address = address
        self.port = port
        self._inside = inside

    @property
    def url(self) -> str:
        """The control socket as kamailio.cfg's RTPPROXY_SOCK and the relay's ``--control`` name it."""
        return f"udp:{self.address}:{self.port}"

    def ask(self, command: str, seconds: float = 2) -> str:
        """The answer to one command. Raises DeadlineError without one, RelayError if nobody listens."""
        # A cookie that came before is answered from the relay's memory.
        cookie = secrets.token_hex(8)
        with self._inside():
            datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with datagram:
            datagram.settimeout(seconds)
            datagram.connect((self.address, self.port))
            try:
                datagram.send(f"{cookie} {command}".encode())
                answer = datagram.recv(65535).decode()
            except TimeoutError:
                what = f"relay: waited {seconds:g} s for the answer to {command!r} from {self.url}"
                raise DeadlineError(what) from None
            except ConnectionRefusedError:
                raise RelayError(
                    f"relay: expected an answer to {command!r}, found none: nobody listens at {self.url}"
                ) from None
        return answer.removeprefix(cookie).strip()

    def answers(self) -> bool:
        """Whether it answers now (command ``V``)."""
        try:
            return self.ask("V", seconds=0.1) != ""
        except (DeadlineError, RelayError):
            return False

    def active_sessions(self) -> int:
        """How many sessions hold ports now (command ``I``). Raises RelayError for an answer that does not say."""
        answer = self.ask("I")
        found = _ACTIVE_SESSIONS.search(answer)
        if not found:
            raise RelayError(f"relay: expected 'active sessions: N' in the answer to I, found {answer!r}")
        return int(found[1])

    def totals(self, seconds: float = 2) -> RelayTotals:
        """What it has counted (command ``G``). Raises RelayError for an answer that does not say."""
        answer = self.ask(f"G {' '.join(_TOTALS)}", seconds)
        numbers = answer.split()
        if len(numbers) != len(_TOTALS) or not all(number.isdigit() for number in numbers):
            raise RelayError(f"relay: expected {len(_TOTALS)} numbers in the answer to G, found {answer!r}")
        return RelayTotals(*map(int, numbers))
