"""START HERE: what happens to a request, in order.

:class:`Router` is ``request_route`` of Kamailio's stock configuration as a list of rules. A rule takes the request and
returns a verdict, or None for "no opinion"; the first verdict ends the decision. To change the behaviour, subclass it:
override a rule, wrap it with ``super()``, or return another tuple from :meth:`Router.rules`.
"""

from __future__ import annotations

from collections.abc import Callable

from kemi import auth, dialog, gateway, http, location, media, nat, presence, registrar, screen, voicemail
from kemi.bans import Bans
from kemi.branch import Branch, Failure
from kemi.features import Features
from kemi.flags import Flag
from kemi.outcome import Transaction
from kemi.reply import IncomingReply
from kemi.request import Request
from kemi.rule import Rule as Rule
from kemi.rule import only
from kemi.settings import Settings
from kemi.verdict import ABSORB, DROP, RELAY, Absorb, Relay, Reply, Verdict

RETRANSMISSION = Absorb("retransmission")
TOO_MANY_HOPS = Reply(483, "Too Many Hops")
NO_CALLBACKS = (False, False, False)
NO_MEDIA_RELAY = Reply(503, "No media relay")
BLOCKED = Reply(404, "Not found")

# Module sanity's checks of a reply, as in the stock file.
REPLY_CHECKS = 17604
REPLY_URI_CHECKS = 6


class Router:
    """The stock configuration's decisions. Made once per load; rules must keep nothing about one request in it."""

    #: What the rules take.
    request_type: type[Request] = Request

    def __init__(self, settings: Settings, features: Features) -> None:
        self.settings = settings
        self.features = features
        self.bans = Bans(settings.auth.ban)
        self._agents = screen.Agents(settings.screen.scanners)
        self._nat_tests = nat.Tests(settings.nat)
        self._max_forwards = settings.screen.max_forwards
        engine = media.rtpengine if features.rtpengine else media.rtpproxy
        self._engine = engine(always=features.relay_always)
        prack = {"PRACK"} if settings.media.prack else set()
        refer = {"REFER"} if features.record_route_refer else set()
        self._branch_methods = frozenset({"INVITE", "BYE", "SUBSCRIBE", "UPDATE"} | prack)
        self._reply_methods = frozenset({"INVITE", "SUBSCRIBE", "UPDATE"} | prack)
        self._dialog_forming = frozenset({"INVITE", "SUBSCRIBE"} | refer)
        self._dialog_forming_in_dialog = frozenset({"NOTIFY"} | refer)

    def count_media(self, count: Callable[[int], None]) -> None:
        """Have `count` called with each code that the media relay gives (WITH_METRICS)."""
        self._engine = self._engine.counted(count)

    def start(self, rank: int) -> None:
        """Called once in every Kamailio process before its first message, and after a reload.

        The place for what must not cross a fork: database connections, sockets. ``rank`` is above 0 for workers, 0 for
        the main process, below 0 for timers and the like. Raising stops the start (or the reload). A thread is of
        little use, it runs only while the process is busy with Python code: see :mod:`kemi.queues`.
        """

    def rules(self) -> tuple[Rule, ...]:
        """The rules in the order in which they are asked. The table of contents of this library."""
        return (
            self.answer_symmetrically,  # replies go where the request came from
            self.screen_floods,  # too much from one address
            self.screen_scanners,  # known attack tools
            self.limit_hops,  # loops
            self.answer_keepalive,  # OPTIONS to the server itself
            self.screen_malformed,  # what is not SIP
            self.find_nat,  # remember where the caller really is
            self.cancel,  # a CANCEL follows its INVITE
            self.absorb_retransmission,  # already being handled
            self.in_dialog,  # ACK, BYE and re-INVITE follow the recorded route
            self.authenticate,  # who are you
            self.refuse_strangers,  # and may you use us
            self.record_route,  # later requests of the dialog pass here too
            self.to_foreign_domain,  # our users call out
            self.presence,  # PUBLISH and SUBSCRIBE
            self.register,  # where a phone is
            self.refuse_incomplete_address,  # nobody named
            self.count_dialog,  # statistics
            self.to_pstn,  # telephone numbers
            self.expand_speed_dial,  # two digits for a longer address
            self.resolve_alias,  # another name for a user
            self.to_registered_contacts,  # where the callee's phones are
        )

    # -- a request, before it may go anywhere

    def answer_symmetrically(self, request: Request) -> Verdict | None:
        """RFC 3581, also for clients that did not ask for it: a NAT lets nothing else in."""
        request.answer_symmetrically()
        return None

    @only(where="antiflood")
    def screen_floods(self, request: Request) -> Verdict | None:
        """Drop requests from an address that sends too many (WITH_ANTIFLOOD).

        Who has logged in from the same address and port is neither dropped nor counted: behind one NAT address there
        may be an attacker and an office full of phones, and their calls shall not silence the next who comes.
        """
        # An edge knows whom its registrars have let in.
        if (self.features.auth or self.features.edge) and request.has_logged_in:
            return None
        return screen.refuse_flood(request) if request.floods() else None

    def screen_scanners(self, request: Request) -> Verdict | None:
        """Drop requests of attack tools by their User-Agent. Any answer would tell them that somebody is here."""
        return screen.SCANNER if self._agents.is_scanner(request.raw_user_agent) else None

    def limit_hops(self, request: Request) -> Verdict | None:
        """483 when Max-Forwards has run out (RFC 3261, section 16.3)."""
        return None if request.spend_hop(self._max_forwards) else TOO_MANY_HOPS

    @only("OPTIONS")
    def answer_keepalive(self, request: Request) -> Verdict | None:
        """200 for OPTIONS to the server itself."""
        return screen.answer_keepalive(request)

    def screen_malformed(self, request: Request) -> Verdict | None:
        """400 for what module sanity finds wrong."""
        if request.is_sane(screen.REQUEST_CHECKS, screen.URI_CHECKS):
            return None
        return screen.refuse_malformed(request)

    @only(where="nat")
    def find_nat(self, request: Request) -> Verdict | None:
        """Find out whether the caller is behind a NAT, and remember where it really is (WITH_NAT)."""
        nat.detect(request, self._nat_tests)
        return None

    # -- transactions and dialogs

    @only("CANCEL")
    def cancel(self, request: Request) -> Verdict | None:
        """A CANCEL follows its INVITE (RFC 3261, section 16.10); one without an INVITE goes nowhere."""
        if self.features.dialog_statistics:
            request.update_dialog()
        return RELAY if request.match_transaction() is Transaction.MATCHED else ABSORB

    def absorb_retransmission(self, request: Request) -> Verdict | None:
        """A request that we have already, or are working on in another process, needs nothing more."""
        if request.is_ack:
            return None
        return RETRANSMISSION if request.is_retransmission() else None

    def in_dialog(self, request: Request) -> Verdict | None:
        """Requests with a To-tag follow the recorded route."""
        if not request.has_to_tag:
            return None
        return dialog.route(
            request,
            with_nat=self.features.nat,
            statistics=self.features.dialog_statistics,
            record_routed=self._dialog_forming_in_dialog,
            subscribe=self._subscribe_in_dialog,
        )

    def _subscribe_in_dialog(self, request: Request) -> Verdict:
        return self.presence(request) or DROP

    # -- initial requests

    @only(where="auth")
    def authenticate(self, request: Request) -> Verdict | None:
        """Challenge REGISTER and callers who claim to be ours (WITH_AUTH), but no trusted address (WITH_IPAUTH)."""
        return auth.authenticate(request, self.bans, qop=self.settings.auth.qop, features=self.features)

    def refuse_strangers(self, request: Request) -> Verdict | None:
        """403 for requests from strangers to strangers, 404 for strangers who ask after our users."""
        if not self.features.auth and request.is_for_us:
            return None
        return auth.refuse_strangers(
            request,
            with_auth=self.features.auth,
            ip_auth=self.features.ip_auth,
            hide_users=self.settings.screen.hide_users,
        )

    def record_route(self, request: Request) -> Verdict | None:
        """Take away routes that the caller wrote, stay in the path of the dialog, account for calls."""
        request.remove_routes()
        if request.method in self._dialog_forming:
            request.record_route()
        if request.is_invite:
            request.account(Flag.ACCOUNT)
        return None

    def to_foreign_domain(self, request: Request) -> Verdict | None:
        """A request to a domain that is not ours goes there."""
        return None if request.is_for_us else location.to_foreign_domain(request)

    @only("PUBLISH", "SUBSCRIBE")
    def presence(self, request: Request) -> Verdict | None:
        """PUBLISH and SUBSCRIBE: to the presence server (WITH_PRESENCE), 404 without one."""
        if presence.asks_for_messages(request):
            return self._to_voicemail(request) or presence.NO_VOICEMAIL
        if self.features.presence:
            return presence.serve(request, rebuild=self.features.rebuild_message)
        return presence.refuse(request)

    @only("REGISTER")
    def register(self, request: Request) -> Verdict | None:
        """Store where a phone is."""
        return registrar.register(
            request,
            self.features.options_keepalive,
            memory_will_do=self.features.database_may_fail,
        )

    def refuse_incomplete_address(self, request: Request) -> Verdict | None:
        """484 for a request to nobody."""
        return None if request.has_uri_user else location.ADDRESS_INCOMPLETE

    @only("INVITE", where="dialog_statistics")
    def count_dialog(self, request: Request) -> Verdict | None:
        """Statistics of calls, where Kamailio has them (module dlgs)."""
        request.count_dialog()
        return None

    @only(where="pstn")
    def to_pstn(self, request: Request) -> Verdict | None:
        """Telephone numbers go to the gateway (WITH_PSTN)."""
        return gateway.to_pstn(request)

    @only(where="speed_dial")
    def expand_speed_dial(self, request: Request) -> Verdict | None:
        """A caller's own short numbers (WITH_SPEEDDIAL)."""
        if location.is_short_number(request) and request.look_up_speed_dial():
            return self.to_foreign_domain(request)
        return None

    @only(where="alias_db")
    def resolve_alias(self, request: Request) -> Verdict | None:
        """Other names of our users (WITH_ALIASDB)."""
        if request.look_up_alias():
            return self.to_foreign_domain(request)
        return None

    def to_registered_contacts(self, request: Request) -> Verdict | None:
        """Relay to the callee's phones; to voicemail (WITH_VOICEMAIL) or 404 if there are none."""
        if self.features.voicemail:
            request.remember_called_user(request.uri_user)
        return location.to_registered_contacts(request, self._to_voicemail)

    def _to_voicemail(self, request: Request) -> Verdict | None:
        if not self.features.voicemail:
            return None
        return voicemail.to_mailbox(request, once=self.settings.voicemail.once)

    # -- on the way out, and the way back

    def callbacks_for(self, request: Request) -> tuple[bool, bool, bool]:
        """Which of :meth:`on_branch`, :meth:`on_reply` and :meth:`on_failure` this relayed request needs.

        A callback that is not armed costs nothing.
        """
        return (
            request.method in self._branch_methods,
            request.method in self._reply_methods,
            request.is_invite,
        )

    def on_branch(self, branch: Branch) -> None:
        """Each copy of a request just before it is sent: relay its media, mark its dialog (MANAGE_BRANCH)."""
        if not self.features.nat:
            return
        relayed = media.relay_request(branch, self._engine)
        if not relayed and branch.may_offer_media and self.settings.media.unavailable == "reject":
            branch.refuse(NO_MEDIA_RELAY)

    def record(self, message: Branch | IncomingReply) -> bool:
        """Have the media relay write what the sender of this message says to its recording folder.

        For :meth:`on_branch` (the caller) and :meth:`on_reply` (the callee), after ``super()`` has told the relay of
        the call. Rtpengine records both sides for either. False if that could not be asked; the relay must have a
        folder for it (``kemi relay --record-dir``), and the call must pass through it (WITH_RTPRELAY).
        """
        return self._engine.record(message)

    def on_acknowledge(self, request: Request) -> None:
        """An ACK just before it is sent along its dialog's route.

        It goes out without a transaction, so :meth:`on_branch` does not see its SDP, the answer to a late offer
        (RFC 3261, section 13.2.2.4).
        """
        if self.features.nat:
            media.relay_request(request, self._engine)

    def on_any_reply(self, reply: IncomingReply) -> None:
        """Every reply that comes in, before it finds its transaction (reply_route).

        kamailio.cfg does the same in Kamailio's language, and calls this only where it is overridden or traced.
        """
        if not reply.is_sane(REPLY_CHECKS, REPLY_URI_CHECKS):
            reply.drop()

    def on_reply(self, reply: IncomingReply) -> None:
        """A reply within its transaction: relay its media, remember where the callee really is (MANAGE_REPLY)."""
        if self.features.nat and reply.is_success_or_progress:
            media.relay_reply(reply, self._engine)

    def try_elsewhere(self, _failure: Failure) -> Relay | None:
        """A call has failed that its caller did not cancel: RELAY tries the request-URI set here, None lets it fail.

        To be overridden: other carriers, the next phone of a group (serial forking, RFC 3261, section 16.7).
        """
        return None

    def on_failure(self, failure: Failure) -> Reply | Relay | None:
        """No branch succeeded: end the relay's session, hide some answers, try voicemail (MANAGE_FAILURE).

        A Reply goes to the caller instead of the failure, RELAY tries the request-URI set here; None lets it fail.
        """
        if self.features.nat:
            media.release(failure, self._engine, keep_dialogs=self.settings.media.keep_on_failed_reinvite)
        if failure.is_cancelled:
            return None
        if (elsewhere := self.try_elsewhere(failure)) is not None:
            return elsewhere
        if self.features.block_redirects and failure.has_status("3[0-9][0-9]"):
            return BLOCKED
        if self.features.block_challenges and failure.has_status("401|407"):
            return BLOCKED
        if not self.features.voicemail:
            return None
        return voicemail.instead_of_failure(failure, once=self.settings.voicemail.once)

    def on_event(self, name: str, http_request: http.HttpRequest) -> None:
        """An event_route that kamailio.cfg hands to the callback "ksr_event", such as ``dispatcher:dst-down``."""
        if name == http.EVENT and self.features.json_rpc:
            http.serve(http_request)
