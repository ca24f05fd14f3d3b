"""What the fake server knows: the message at hand with all that was done to it, and what outlives it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from enum import Enum

from kemi.testing.message import Message
from kemi.testing.uri import Uri, address_uri, addresses


@dataclass(frozen=True)
class Call:
    """One call of a KSR function: its name after ``KSR.``, arguments and result.

    The result is `assumed` where the fake has no behaviour for the function and the test set no answer.
    """

    name: str
    args: tuple[str | int, ...]
    result: object
    assumed: bool = False

    def __str__(self) -> str:
        arguments = ", ".join(str(each) if isinstance(each, Enum) else repr(each) for each in self.args)
        assumed = " (assumed; ksr.answer() sets another)" if self.assumed else ""
        return f"KSR.{self.name}({arguments}) -> {self.result!r}{assumed}"


@dataclass(frozen=True)
class LogLine:
    """A line that was logged: level ("info", "warn", "err" ...) and text."""

    level: str
    text: str


@dataclass(frozen=True)
class Reply:
    """An answer that was sent; `stateful` if it went out through a transaction."""

    code: int
    reason: str
    stateful: bool
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Relay:
    """One branch of a request that was sent on: the message as forwarded and where to.

    `destination` is the next hop's URI: ``$du`` where it is set, the request-URI otherwise.
    """

    message: Message
    destination: str
    flags: frozenset[int]
    branch_flags: frozenset[int]
    on_reply: str
    on_failure: str


@dataclass
class Contact:
    """A row of the location table."""

    uri: str
    received: str | None = None
    flags: frozenset[int] = frozenset()
    expires: int = 3600


@dataclass
class Branch:
    """One destination of the request at hand."""

    uri: str
    destination: str | None = None
    flags: set[int] = field(default_factory=set)


@dataclass
class Transaction:
    """A request that tm remembers.

    `status` is the last answer sent and `failure` the best of the branches when all have failed; 0 before any.
    """

    branch: str
    method: str
    call_id: str
    cseq: str
    status: int = 0
    failure: int = 0
    relayed: bool = False

    @classmethod
    def of(cls, message: Message) -> Transaction:
        number = (message.header("CSeq") or "").partition(" ")[0]
        return cls(message.via[2], message.method, message.header("Call-ID") or "", number)


@dataclass
class Handling:
    """The message at hand, as pseudo-variables read it, and what the script has done with it so far.

    `message` is what came in; header changes go to `outgoing` and are seen by pseudo-variables only after
    ``textopsx.msg_apply_changes``, as in Kamailio.
    """

    message: Message
    outgoing: Message
    first: Branch
    branches: list[Branch] = field(default_factory=list)
    flags: set[int] = field(default_factory=set)
    script_flags: set[int] = field(default_factory=set)
    avps: dict[str, list[str | int]] = field(default_factory=dict)
    callbacks: dict[str, str] = field(default_factory=dict)
    reply_headers: list[str] = field(default_factory=list)
    record_route_params: str = ""
    record_routed: bool = False
    contact_rewritten: bool = False
    route_params: str | None = None
    transaction: Transaction | None = None
    dropped: bool = False
    credentials_found: bool = False
    offer_managed: bool = False
    #: The last error inside Kamailio, as the answer that it asks for.
    error: tuple[int, str] | None = None

    @classmethod
    def of(cls, message: Message) -> Handling:
        return cls(message, copy.deepcopy(message), Branch(message.uri))

    @property
    def uri(self) -> Uri | None:
        """The current request-URI, None for a reply or a URI that is not SIP."""
        return Uri.find(self.first.uri)

    @property
    def top_route(self) -> Uri | None:
        """The first Route address, None without one."""
        value = self.message.header("Route")
        return Uri.find(address_uri(addresses(value)[0])) if value else None
