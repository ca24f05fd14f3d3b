"""A stand-in for Kamailio's KSR object: strict about calls, honest about codes, open about what happened."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from kemi.stubs.exports import Export, exports, families, known_in, versions
from kemi.testing import fake
from kemi.testing.api import Api
from kemi.testing.loaded import modules_of
from kemi.testing.message import Message
from kemi.testing.state import Call, Contact, Handling, LogLine, Relay, Reply, Transaction

Answer = int | bool | str | None


class FakeKSR:
    """A Kamailio without network. Tests prepare and inspect it; the code under test sees `api` as ``KSR``.

    `version` is the Kamailio that answers: "5.6", "6.0" or "6.1"; `modules` are loaded, those of kamailio.cfg unless
    given; `own` are our addresses ("203.0.113.1:5060") and domains ("example.com"); `queues` their sizes by name, None
    for any. A request is set with `receive`;
    then `replies`, `relayed`, `log`, `calls` tell what the rules did. What only the outside can decide (a flood, the
    relay) is set with `answer`. With `handler` set, ``tm.t_relay`` runs its branch callback as Kamailio does.

    A wrong call raises at once and is also kept in `misuse`, since a guard around the rules may swallow it.
    Raises ValueError for an unknown Kamailio version.
    """

    def __init__(
        self,
        version: str = "5.6",
        *,
        modules: Iterable[str] | None = None,
        defines: Mapping[str, str] | Iterable[str] = (),
        own: Iterable[str] = ("203.0.113.1:5060", "example.com"),
        htables: Iterable[str] = ("ipban", "authban", "authfail", "authok"),
        queues: Mapping[str, int | None] | None = None,
    ) -> None:
        # What a test prepares.
        #: The Kamailio whose functions and answers it has: "5.6", "6.0" ...
        self.version = version
        self.exports = exports(version)
        self.modules = {"core", *(modules_of(version) if modules is None else modules)}
        #: What the cfg defines (``#!define``), and the values, "" for one without.
        self.defines = dict(defines) if isinstance(defines, Mapping) else dict.fromkeys(defines, "")
        self.own = set(own)
        self.htables: dict[str, dict[str, str | int]] = {name: {} for name in htables}
        #: Key and value of what waits in each queue of module mqueue, and what was fetched last.
        self.queues: dict[str, deque[tuple[str, str]]] = {
            name: deque(maxlen=size) for name, size in (queues or {}).items()
        }
        self.taken: dict[str, tuple[str, str]] = {}
        #: Contacts by user, oldest first: the location table.
        self.location: dict[str, list[Contact]] = {}
        #: Passwords by user: the subscriber table. `nonces` are those that a challenge has issued.
        self.subscribers: dict[str, str] = {}
        self.nonces: set[str] = set()
        #: modparam("rr", "append_fromtag", 1), which kamailio.cfg does not set.
        self.append_fromtag = False
        #: The object whose callbacks ``t_on_branch`` and its sisters name.
        self.handler: object = None
        # What a test inspects, in the order it happened.
        self.calls: list[Call] = []
        self.replies: list[Reply] = []
        self.relayed: list[Relay] = []
        self.log: list[LogLine] = []
        self.misuse: list[str] = []
        #: (command, flags) of every request to the relay; Call-IDs of the sessions it has.
        self.media: list[tuple[str, str]] = []
        self.media_sessions: set[str] = set()
        #: Seconds by (table, key), as ``sht_setex`` and its sisters were told.
        self.htable_expires: dict[tuple[str, str], int] = {}
        #: ``$var(name)``, which outlives the message.
        self.variables: dict[str, str | int] = {}
        #: What kamailio.cfg declares for the routes, as {"pstn.gw_ip": "203.0.113.5"}: $sel(cfg_get.pstn.gw_ip).
        self.custom: dict[str, str] = {}
        self.transactions: list[Transaction] = []
        #: Where the script is: "request", "branch", "onreply" or "failure".
        self.route = "request"
        self.cancelled = False
        #: Did the request that failed get no final reply in time; did it get a provisional one?
        self.timed_out = self.rang = False
        self.api = Api(self, "")
        self._handling: Handling | None = None
        #: The requests that were relayed, as they were then.
        self.pending: list[Handling] = []
        self._answers: dict[str, Callable[..., Answer]] = {}
        self._families = {name: family(self) for name, family in fake.families().items()}

    # -- the message at hand ---------------------------------------------------------------------------------------

    @property
    def now(self) -> Handling:
        """The message at hand and what was done to it. Raises RuntimeError before `receive`."""
        if self._handling is None:
            raise RuntimeError(
                "no message at hand: call ksr.receive(invite('bob')) before the code under test"
            )
        return self._handling

    def receive(self, message: Message, *, in_transaction: bool = False) -> Handling:
        """Make this the message at hand: flags, AVPs and changes of the one before are gone.

        A reply comes twice: first to ``ksr_reply_route``, then, with the flags of the branch that was relayed and the
        AVPs of its request, to the callback of its transaction (``in_transaction=True``).
        """
        self._handling = Handling.of(message)
        self.route, self.cancelled = "onreply" if message.is_reply else "request", False
        if in_transaction:
            relay = self._relay_of(message)
            self._handling.flags = set(relay.flags)
            self._handling.first.flags = set(relay.branch_flags)
            request = self._request_of(message)
            self._handling.transaction = request.transaction
            self._handling.avps = request.avps
            self._handling.offer_managed = request.offer_managed
        return self._handling

    def fail(
        self, status: int, *, cancelled: bool = False, timed_out: bool = False, rang: bool = False
    ) -> None:
        """All branches of the request that was relayed last have failed: what follows is its failure callback.

        Raises RuntimeError if none was relayed.
        """
        waiting = [each for each in self.pending if each.message.method != "CANCEL"]
        if not waiting:
            raise RuntimeError("no transaction to fail: let the request at hand be relayed first")
        self._handling = waiting[-1]
        # It runs once: whoever relays again sets it again.
        self._handling.callbacks.pop("failure_route", None)
        if self._handling.transaction:
            self._handling.transaction.failure = status
            self._handling.transaction.relayed = False
        self.route, self.cancelled = "failure", cancelled
        self.timed_out, self.rang = timed_out, rang

    def _relay_of(self, reply: Message) -> Relay:
        for relay in reversed(self.relayed):
            if _same_request(relay.message, reply):
                return relay
        call, number = reply.header("Call-ID"), reply.header("CSeq")
        raise RuntimeError(f"no request was relayed with Call-ID {call} and CSeq {number}")

    def _request_of(self, reply: Message) -> Handling:
        return next(request for request in reversed(self.pending) if _same_request(request.message, reply))

    @property
    def dropped(self) -> bool:
        """Was the message at hand dropped (``KSR.set_drop``)?"""
        return self.now.dropped

    def is_own(self, host: str, port: int | None = None) -> bool:
        """Is this one of our addresses or domains? An entry of `own` without a port holds for every port."""
        lowered = host.lower()
        for entry in self.own:
            own_host, _, own_port = entry.lower().partition(":")
            if lowered == own_host and (not own_port or port in (None, int(own_port))):
                return True
        return False

    # -- answers from outside --------------------------------------------------------------------------------------

    def answer(self, name: str, value: Answer | list[Answer] | Callable[..., Answer]) -> None:
        """Set what a function gives: a value, a list of successive values, or a callable with its arguments.

        Raises AttributeError for a function that does not exist, TypeError for a value it could not give.
        """
        export = self.export(name)
        if callable(value):
            self._answers[name] = value
        elif isinstance(value, list):
            for one in value:
                export.check_result(one)
            self._answers[name] = _successive(name, value)
        else:
            export.check_result(value)
            self._answers[name] = lambda *_: value

    # -- calls -----------------------------------------------------------------------------------------------------

    def called(self, name: str) -> list[tuple[str | int, ...]]:
        """The arguments of every call of this function, in order."""
        self.export(name)
        return [call.args for call in self.calls if call.name == name]

    def export(self, name: str) -> Export:
        """The exported function of that name. Raises AttributeError, with the nearest names, if there is none."""
        export = self.exports.get(name)
        if export is None:
            raise AttributeError(self.unknown(name))
        if export.module not in self.modules:
            raise AttributeError(
                f'KSR.{name}: needs loadmodule "{export.module}.so", which is not loaded here'
            )
        return export

    def call(self, name: str, *args: str | int) -> Answer:
        """Call a KSR function by name, as the code under test would.

        Raises AttributeError for an unknown function, TypeError and ValueError for arguments that the server would
        not take, UnicodeDecodeError where the text it would give is not UTF-8.
        """
        with self._noting_misuse(name):
            export = self.export(name)
            export.check_arguments(args)
        assumed = False
        if name in self._answers:
            result = self._answers[name](*args)
        else:
            with self._noting_misuse(name):
                behaviour = self._behaviour(name)
                assumed = behaviour is None
                result = behaviour(*args) if behaviour else fake.no(export)
        export.check_result(result)
        self.calls.append(Call(name, args, result, assumed))
        if isinstance(result, str):
            # What was not UTF-8 on the wire raises here, as it does in app_python3.
            result = result.encode("utf-8", "surrogateescape").decode("utf-8")
        return result

    def computes(self, name: str) -> bool:
        """Does the fake work out what this function gives? If not it gives "no", unless `answer` says otherwise."""
        return self._behaviour(name) is not None

    def _behaviour(self, name: str) -> Callable[..., Answer] | None:
        family, _, function = name.rpartition(".")
        behaviour: Callable[..., Answer] | None = getattr(self._families.get(family), function, None)
        return behaviour

    @contextmanager
    def _noting_misuse(self, name: str) -> Iterator[None]:
        try:
            yield
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            self.misuse.append(f"KSR.{name}: {error}")
            raise

    def has_family(self, name: str) -> bool:
        """Is there a sub-module ``KSR.name``, that is: is a module loaded that exports it?"""
        return not self.modules.isdisjoint(families(self.version).get(name, ()))

    def unknown(self, name: str) -> str:
        """Why this Kamailio has no function of that name."""
        elsewhere = [version for version in known_in(name) if version != self.version]
        if elsewhere:
            newer = versions().index(elsewhere[0]) > versions().index(self.version)
            known = f"since Kamailio {elsewhere[0]}" if newer else f"up to Kamailio {elsewhere[-1]}"
            return f"KSR.{name} exists only {known}; this is {self.version}"
        near = difflib.get_close_matches(name, self.exports, 3)
        hint = "; did you mean " + " or ".join(f"KSR.{match}" for match in near) + "?" if near else ""
        return f"Kamailio {self.version} has no KSR.{name}{hint}"


def _same_request(one: Message, other: Message) -> bool:
    return all(one.header(name) == other.header(name) for name in ("Call-ID", "CSeq"))


def _successive(name: str, values: list[Answer]) -> Callable[..., Answer]:
    left = iter(values)

    def next_answer(*_: str | int) -> Answer:
        for value in left:
            return value
        raise AssertionError(f"KSR.{name}: {len(values)} answers were set, but it was called once more")

    return next_answer
