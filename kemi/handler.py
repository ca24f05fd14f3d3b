"""Between Kamailio's callbacks and the router: guards, carries verdicts out, writes the log line.

Kamailio looks the callbacks up by name on the object that ``mod_init`` returned. Nothing raised and nothing but an
int ever leaves one: an exception there would leave the caller without an answer, and up to Kamailio 5.7 anything but an
int would cost the next message its answer.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from kemi import features, log, settings_file, sqlite
from kemi.branch import Branch, Failure
from kemi.flat.seldom import seldom
from kemi.flat.sources import Sources
from kemi.http import HttpRequest
from kemi.message import Message
from kemi.plan import Callbacks, Plan, Plans
from kemi.reply import IncomingReply, ask_about_every_reply
from kemi.request import METHODS, NativeMessage, Request, method_in_any_case
from kemi.router import NO_CALLBACKS, Router
from kemi.rule import Rule
from kemi.self_report import SelfReport
from kemi.settings import Settings
from kemi.settings_file import SettingsError
from kemi.verdict import Absorb, Drop, Relay, Reply, Verdict, is_refusal

# Names of the callbacks below. A name that does not exist is silently ignored by Kamailio up to 5.7.
ON_BRANCH = "ksr_on_branch"
ON_REPLY = "ksr_on_reply"
ON_FAILURE = "ksr_on_failure"

# Attributes that the handler's __init__ sets for good.
_FIXED = frozenset({"router", "_observe", "_logs_all", "_logs_refusals"})

SERVER_ERROR = Reply(500, "Server Internal Error")

# Longer than any write takes, shorter than a phone waits before it repeats a request four times.
LOCK_MILLISECONDS = 2000

# What a callback returns, for the routes of kamailio.cfg; cfgengine "python" ignores the value, but not its type.
HANDLED = 1
DROPPED = -1


class Handler:
    """The object that Kamailio calls."""

    # Python finds them more quickly than what is in a dictionary.
    __slots__ = (
        "_branch",
        "_callbacks",
        "_failure",
        "_http",
        "_logs_all",
        "_logs_refusals",
        "_observe",
        "_plans",
        "_process",
        "_reply",
        "_request",
        "folder",
        "rank",
        "report",
        "router",
    )

    def __init__(self, router: Router, folder: Path | None = None) -> None:
        self.router = router
        #: Where the settings file and the user's modules are; a reload reads these again.
        self.folder = folder
        #: The rank of this process once Kamailio has forked, see :meth:`Router.start`.
        self.rank: int | None = None
        self._process = 0
        #: What this process tells of itself.
        self.report = SelfReport(publish=router.features.status)
        self._logs_all = router.settings.log.decisions == "all"
        self._logs_refusals = router.settings.log.decisions == "refused"
        #: Told of each decision before it is carried out, where anybody wants to know.
        self._observe: Callable[[Request, Rule, Verdict], None] | None = None
        self._plans = Plans(router, self._carry_out, self._relay, [(self, _FIXED)])
        self._request, _ = self._plans.other
        self._branch = Branch()
        self._reply = IncomingReply()
        self._callbacks = Callbacks(
            self._plans,
            (self._take_any_reply, self._reply),
            (self._take_reply, self._reply),
            (self._send_branch, self._branch),
        )
        self._failure = Failure()
        self._http = HttpRequest()

    @property
    def exceptions(self) -> int:
        """Exceptions caught in this process since its routes were loaded."""
        return self.report.record.exceptions

    def child_init(self, rank: int) -> int:
        """Kamailio has forked, or reloaded the routes (then :func:`kemi_boot.mod_init` was first)."""
        # Some processes are forked from one whose routes have started.
        if self._process != os.getpid():
            self._process = os.getpid()
            if self.router.features.sqlite:
                sqlite.wait_for_locks(rank, LOCK_MILLISECONDS)
            self.router.start(rank)
            self.rank = rank
            self.report.loaded(rank)
        return 0

    def take_over(self, *, every_reply: bool = False) -> None:
        """From now on Kamailio calls this handler in this process, and in those that are forked from it.

        About every reply only if a trace or a router of the user's wants to know of it, see ``reply_route`` in
        kamailio.cfg.
        """
        is_ours = getattr(self.router.on_any_reply, "__func__", None) is Router.on_any_reply
        ask_about_every_reply(every_reply or not is_ours)

    def retire(self) -> None:
        """Another handler takes over."""

    def write_out(self) -> None:
        """Do before Kamailio forks what each process would do when its first messages come."""
        sources = Sources()
        self._plans.make_all(sources)
        self._callbacks.make_all(sources)

    def ksr_request_route(self, msg: NativeMessage) -> int:
        """Every request."""
        try:
            try:
                request, handle = self._plans.made[msg.Method]
            except (KeyError, UnicodeDecodeError):
                request, handle = self._unusual_plan(msg)
        except BaseException:  # noqa: BLE001 - the guard itself
            self._guard_without_plan(msg)
            return HANDLED
        self._request = request
        try:
            handle(msg)
        except BaseException:  # noqa: BLE001 - the guard itself
            self._guard(request, self._refuse)
        return HANDLED

    def ksr_reply_route(self, _msg: object) -> int:
        """Every reply, before its transaction is looked for."""
        reply = self._reply
        try:
            self._callbacks.made["_take_any_reply"]()
        except BaseException:  # noqa: BLE001 - the guard itself
            self._guard(reply)
        return DROPPED if reply.dropped else HANDLED

    def ksr_onsend_route(self, _msg: object) -> int:
        """Every message sent. Nothing to do, but up to Kamailio 5.7 it must exist."""
        return HANDLED

    def ksr_on_branch(self, _msg: object) -> int:
        """One copy of a relayed request, just before it is sent."""
        branch = self._branch
        try:
            self._callbacks.made["_send_branch"]()
        except BaseException:  # noqa: BLE001 - the guard itself
            self._guard(branch)
        return DROPPED if branch.dropped else HANDLED

    def ksr_on_reply(self, _msg: object) -> int:
        """A reply within its transaction."""
        reply = self._reply
        try:
            self._callbacks.made["_take_reply"]()
        except BaseException:  # noqa: BLE001 - the guard itself
            self._guard(reply)
        return DROPPED if reply.dropped else HANDLED

    def ksr_on_failure(self, _msg: object) -> int:
        """All branches of an INVITE have failed."""
        try:
            self._carry_out_failure(self.router.on_failure(self._failure))
        except BaseException:  # noqa: BLE001 - the guard itself
            self._guard(self._failure)
        return HANDLED

    def ksr_event(self, _msg: object, name: str) -> int:
        """An event of a module, by the name of its event_route."""
        try:
            self.router.on_event(name, self._http)
        except BaseException:  # noqa: BLE001 - the guard itself
            self._guard(self._http)
        return HANDLED

    def _take_any_reply(self, reply: IncomingReply) -> None:
        reply.dropped = False
        self.router.on_any_reply(reply)

    def _take_reply(self, reply: IncomingReply) -> None:
        reply.dropped = False
        self.router.on_reply(reply)

    def _send_branch(self, branch: Branch) -> None:
        branch.begin(self._request)
        self.router.on_branch(branch)

    def _unusual_plan(self, msg: NativeMessage) -> Plan:
        """For the first such request after a reload, a method in small letters, or one that Kamailio does not know."""
        try:
            is_known = msg.Method in METHODS
        except UnicodeDecodeError:
            is_known = False
        plan = self._plans.of(msg.Method if is_known else method_in_any_case())
        if plan is self._plans.other:
            request, _ = plan
            request.begin_unknown()
        return plan

    def _carry_out(self, request: Request, rule: Rule, verdict: Verdict, relay: Callable[[], None]) -> None:
        if self._observe is not None:
            self._observe(request, rule, verdict)
        if self._logs_all or (self._logs_refusals and is_refusal(verdict)):
            self._log(request, rule, verdict)
        kind = type(verdict)
        if kind is Relay:
            relay()
        elif isinstance(verdict, Reply):
            request.reply(verdict)
        elif kind is not Absorb and kind is not Drop:
            raise TypeError(f"expected a rule to return a verdict or None, found {verdict!r}")

    @seldom
    def _log(self, request: Request, rule: Rule, verdict: Verdict) -> None:
        # Only a rule without a name needs the long way.
        name = getattr(rule, "__name__", "") or repr(rule)
        log.info(f"{request.call_id} {request.method} {request.original_uri} {name}: {verdict}")

    def _carry_out_failure(self, verdict: Reply | Relay | None) -> None:
        match verdict:
            case None:
                pass
            case Reply():
                self._failure.reply(verdict)
            case Relay():
                self._failure.arm(branch=ON_BRANCH, reply=ON_REPLY, failure=ON_FAILURE)
                self._failure.relay()
            case _:
                raise TypeError(f"expected on_failure to return a Reply, RELAY or None, found {verdict!r}")

    def _relay(self, request: Request) -> None:
        if request.is_ack and request.follows_route:
            self._acknowledge(request)
        needed = self.router.callbacks_for(request)
        if needed != NO_CALLBACKS:
            branch, reply, failure = needed
            request.arm(
                branch=ON_BRANCH if branch else "",
                reply=ON_REPLY if reply else "",
                failure=ON_FAILURE if failure else "",
            )
        if not request.relay():
            if request.refusal is not None:
                request.reply_as_is(request.refusal)
            else:
                request.reply_error()

    def _acknowledge(self, request: Request) -> None:
        try:
            self.router.on_acknowledge(request)
        except BaseException:  # noqa: BLE001 - without its ACK the call would end
            self._guard(request)

    @seldom
    def _refuse(self) -> None:
        request = self._request
        if not request.taken and not request.is_ack:
            request.reply_as_is(SERVER_ERROR)

    def _guard_without_plan(self, msg: NativeMessage) -> None:
        """The same where the user's request class could not even be made."""
        request, _ = self._plans.other
        self._request = request
        request.begin(msg)
        self._guard(request, None if request.is_method_in("A") else self._refuse)

    @seldom
    def _guard(self, message: Message, make_good: Callable[[], None] | None = None) -> None:
        """Log the exception that is being handled, then make good what it has left undone."""
        report = traceback.format_exc()
        self.report.caught(report.rstrip().rpartition("\n")[2])
        try:
            if make_good is not None:
                make_good()
            log.error(
                f"exception {self.exceptions} of this process, call {message.call_id} "
                f"({message.method} from {message.source}):\n{report}"
            )
        except BaseException:  # noqa: BLE001 - nothing may leave a callback
            log.error(f"exception while handling one:\n{traceback.format_exc()}{report}")


def build() -> Handler:
    """Read the settings and make the handler they describe.

    Raises SettingsError for settings, defines or modules that do not fit, and whatever the user's own module raises.
    """
    path = features.settings_path()
    settings = settings_file.load(path)
    switched = features.read(settings)
    router_class = _router_class(settings, path, _role(switched))
    handler_class: type[Handler] = Handler
    if switched.metrics:
        handler_class = importlib.import_module("kemi.metered").MeteredHandler
    return handler_class(router_class(settings, switched), path.parent.resolve() if path else None)


def _role(switched: features.Features) -> type[Router]:
    """What this server is, alone or in a cluster."""
    if switched.edge and switched.cluster:
        raise SettingsError(
            "kamailio.cfg: expected WITH_EDGE or WITH_CLUSTER, found both; "
            "an edge is no registrar: run a Kamailio for each"
        )
    if switched.edge:
        return importlib.import_module("kemi.edge").Edge  # type: ignore[no-any-return]
    if switched.cluster:
        return importlib.import_module("kemi.clustered").Registrar  # type: ignore[no-any-return]
    return Router


def _router_class(settings: Settings, path: Path | None, role: type[Router]) -> type[Router]:
    if settings.router == Settings().router:
        return role
    where = f"{path.name if path else 'settings'}: router"
    module_name, _, class_name = settings.router.partition(":")
    if not module_name or not class_name:
        raise SettingsError(f"{where}: expected module:Class, found {settings.router!r}")
    if path is not None and str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as problem:
        if problem.name != module_name:
            raise
        raise SettingsError(
            f"{where}: expected a module '{module_name}' beside the settings file, found none; "
            "create it or correct the name"
        ) from None
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, role)):
        raise SettingsError(
            f"{where}: expected '{class_name}' in {module_name} to be a subclass of {role.__module__}.{role.__name__}, "
            f"found {found!r}"
        )
    return found
