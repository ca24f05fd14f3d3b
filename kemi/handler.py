"""Between Kamailio's callbacks and the router: guards, carries verdicts out, writes the log line.

Kamailio looks the callbacks up by name on the object that ``mod_init`` returned. Nothing raised and nothing but an
int ever leaves one: an exception there would leave the caller without an answer, and up to Kamailio 5.7 anything but an
int would cost the next message its answer.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from kemi import features, log, memory, settings_file, sqlite
from kemi.branch import Branch, Failure
from kemi.http import HttpRequest
from kemi.message import Message
from kemi.reply import IncomingReply
from kemi.request import NativeMessage, Request
from kemi.router import Router, Rule
from kemi.settings import Settings
from kemi.settings_file import SettingsError
from kemi.verdict import Absorb, Drop, Relay, Reply, Verdict

# Names of the callbacks below. A name that does not exist is silently ignored by Kamailio up to 5.7.
ON_BRANCH = "ksr_on_branch"
ON_REPLY = "ksr_on_reply"
ON_FAILURE = "ksr_on_failure"

SERVER_ERROR = Reply(500, "Server Internal Error")

# Longer than any write takes, shorter than a phone waits before it repeats a request four times.
LOCK_MILLISECONDS = 2000

HANDLED = 1  # Kamailio ignores the value, but not its type


class Handler:
    """The object that Kamailio calls."""

    def __init__(self, router: Router, folder: Path | None = None) -> None:
        self.router = router
        #: Where the settings file and the user's modules are; a reload reads these again.
        self.folder = folder
        #: The rank of this process once Kamailio has forked, see :meth:`Router.start`.
        self.rank: int | None = None
        #: Exceptions caught in this process since its routes were loaded.
        self.exceptions = 0
        self._rules: tuple[Rule, ...] = router.rules()
        self._log_decisions = router.settings.log.decisions
        self._request = Request()
        self._branch = Branch(self._request)
        self._reply = IncomingReply()
        self._failure = Failure()
        self._http = HttpRequest()

    def child_init(self, rank: int) -> int:
        """Kamailio has forked, or reloaded the routes (then :func:`kemi_boot.mod_init` was first)."""
        if self.rank is None:
            memory.leave_free_fragments()
            if self.router.features.sqlite:
                sqlite.wait_for_locks(rank, LOCK_MILLISECONDS)
            self.router.start(rank)
            self.rank = rank
        return 0

    def ksr_request_route(self, msg: NativeMessage | None) -> int:
        """Every request."""
        request = self._request
        try:
            request.begin(msg)
            rule, verdict = self._decide(request)
            if self._log_decisions:
                name = getattr(rule, "__name__", repr(rule))
                log.info(f"{request.call_id} {request.method} {request.original_uri} {name}: {verdict}")
            self._carry_out(request, verdict)
        except BaseException:  # noqa: BLE001 - the guard itself
            self._guard(request, self._refuse)
        return HANDLED

    def ksr_reply_route(self, _msg: object) -> int:
        """Every reply, before its transaction is looked for."""
        try:
            self.router.on_any_reply(self._reply)
        except BaseException:  # noqa: BLE001 - the guard itself
            self._guard(self._reply)
        return HANDLED

    def ksr_onsend_route(self, _msg: object) -> int:
        """Every message sent. Nothing to do, but up to Kamailio 5.7 it must exist."""
        return HANDLED

    def ksr_on_branch(self, _msg: object) -> int:
        """One copy of a relayed request, just before it is sent."""
        try:
            self.router.on_branch(self._branch)
        except BaseException:  # noqa: BLE001 - the guard itself
            self._guard(self._branch)
        return HANDLED

    def ksr_on_reply(self, _msg: object) -> int:
        """A reply within its transaction."""
        try:
            self.router.on_reply(self._reply)
        except BaseException:  # noqa: BLE001 - the guard itself
            self._guard(self._reply)
        return HANDLED

    def ksr_on_failure(self, _msg: object) -> int:
        """All branches of an INVITE have failed."""
        try:
            self._carry_out_failure(self.router.on_failure(self._failure))
        except BaseException:  # noqa: BLE001 - the guard itself
            self._guard(self._failure)
        return HANDLED

    def ksr_event(self, _msg: object, name: str) -> int:
        """An event of a module that names this callback in its parameter ``event_callback``."""
        try:
            self.router.on_event(name, self._http)
        except BaseException:  # noqa: BLE001 - the guard itself
            self._guard(self._http)
        return HANDLED

    def _decide(self, request: Request) -> tuple[Rule, Verdict]:
        for rule in self._rules:
            verdict = rule(request)
            if verdict is not None:
                return rule, verdict
        raise LookupError(
            "no rule decided: expected one of Router.rules() to return a verdict, found none that did; "
            "end the tuple with a rule that always decides"
        )

    def _carry_out(self, request: Request, verdict: Verdict) -> None:
        match verdict:
            case Relay():
                self._relay(request)
            case Reply():
                request.reply(verdict)
            case Drop() | Absorb():
                pass
            case _:
                raise TypeError(f"expected a rule to return a verdict or None, found {verdict!r}")

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
        branch, reply, failure = self.router.callbacks_for(request)
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

    def _refuse(self) -> None:
        request = self._request
        if not request.taken and not request.is_ack:
            request.reply_as_is(SERVER_ERROR)

    def _guard(self, message: Message, make_good: Callable[[], None] | None = None) -> None:
        """Log the exception that is being handled, then make good what it has left undone."""
        self.exceptions += 1
        report = traceback.format_exc()
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
    router_class = _router_class(settings, path)
    return Handler(router_class(settings, features.read(settings)), path.parent.resolve() if path else None)


def _router_class(settings: Settings, path: Path | None) -> type[Router]:
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
    if not (isinstance(found, type) and issubclass(found, Router)):
        raise SettingsError(
            f"{where}: expected '{class_name}' in {module_name} to be a subclass of kemi.router.Router, found {found!r}"
        )
    return found
