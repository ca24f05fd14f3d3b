"""An edge of a cluster (WITH_EDGE): it stands between phones and registrars, and owns the holes in the phones' NATs.

A phone knows its edge only. The edge adds itself to the Path of a REGISTER (RFC 3327), so that whatever a registrar has
for the phone comes back through the same edge. It stays in the path of dialogs, which registrars do not.

The media of a call is relayed by the edge that the call comes in at, whoever is called: there every message of the
call passes exactly once, however it forks behind. The callee's edge sees one branch, and would end a session that
others use.
"""

from __future__ import annotations

from kemi import hops, media
from kemi.branch import Branch, Failure
from kemi.features import Features
from kemi.flags import Flag
from kemi.members import Members
from kemi.outcome import Transaction
from kemi.reply import IncomingReply
from kemi.request import Request
from kemi.router import NO_MEDIA_RELAY, Router, Rule
from kemi.settings import Settings
from kemi.verdict import DROP, RELAY, Drop, Relay, Reply, Verdict

NOT_HERE = Reply(404, "Not here")
NO_REGISTRAR = Reply(503, "No registrar")
NOT_FOR_US = Drop("KDMQ is for registrars")


class Edge(Router):
    """What an edge decides. The rules that are not here are those of a single server."""

    def __init__(self, settings: Settings, features: Features) -> None:
        super().__init__(settings, features)
        self._members = Members(settings.cluster, "WITH_EDGE")
        self._patience = settings.cluster.patience
        # Always: whether the callee is behind a NAT is known too late.
        self._engine = (media.rtpengine if features.rtpengine else media.rtpproxy)(always=True)

    def rules(self) -> tuple[Rule, ...]:
        """The rules in the order in which they are asked."""
        return (
            self.answer_symmetrically,  # replies go where the request came from
            self.screen_floods,  # too much from one address
            self.screen_scanners,  # known attack tools
            self.limit_hops,  # loops
            self.answer_keepalive,  # OPTIONS to the edge itself
            self.screen_malformed,  # what is not SIP
            self.refuse_dmq,  # what only registrars may tell each other
            self.find_nat,  # remember where the caller really is
            self.cancel,  # a CANCEL follows its INVITE
            self.absorb_retransmission,  # already being handled
            self.in_dialog,  # ACK, BYE and re-INVITE follow the recorded route
            self.to_phone,  # what a registrar has for a phone
            self.to_registrar,  # what a phone, or anybody else, wants
        )

    def screen_floods(self, request: Request) -> Verdict | None:
        """As a single server, but the other servers of the cluster send for many phones."""
        return None if self._members.sent_it() else super().screen_floods(request)

    def refuse_dmq(self, _request: Request) -> Verdict | None:
        """Contacts are shared among registrars, not through us."""
        return NOT_FOR_US if hops.is_for_dmq() else None

    def in_dialog(self, request: Request) -> Verdict | None:
        """Requests with a To-tag follow the recorded route, from edge to edge and to the phone."""
        if not request.has_to_tag:
            return None
        if not request.follow_recorded_route():
            if request.is_ack:
                # For a failure; without a recorded route it can be for nothing else.
                return RELAY if request.match_transaction() is Transaction.MATCHED else DROP
            return NOT_HERE
        if self.features.nat:
            if request.dialog_is_nated:
                hops.mark_media_ours()
            if not request.has_destination and request.follow_contact_alias():
                self._to_nated_phone(request)
            self._correct_media(request)
        if request.is_bye:
            # Registrars do not see it. Once: where it comes in.
            if not self._members.sent_it():
                request.account(Flag.ACCOUNT)
                request.account(Flag.ACCOUNT_FAILED)
        elif request.method in self._dialog_forming_in_dialog:
            request.record_route()
        return RELAY

    def to_phone(self, request: Request) -> Verdict | None:
        """What a registrar sends follows the Path of the contact. Nobody else's Path is followed."""
        if not self._members.registrar_sent_it():
            return None
        if not hops.follow_path(request):
            return NOT_HERE
        if request.destination_is_nated:
            self._to_nated_phone(request)
        if request.method in self._dialog_forming:
            request.record_route()
        return RELAY

    def to_registrar(self, request: Request) -> Verdict:
        """All else is decided by a registrar."""
        request.remove_routes()
        hops.remove_paths()
        if request.is_register:
            hops.add_path(received=request.source_is_nated)
        elif request.method in self._dialog_forming:
            request.record_route()
        if not hops.choose_registrar():
            return NO_REGISTRAR
        hops.mark_for_registrar()
        if request.is_invite or request.is_register:
            # They are answered at once, if only with 100. Others wait for a phone.
            hops.wait_for_registrar(self._patience)
        if request.is_invite and self.features.nat:
            hops.mark_media_ours()
        return RELAY

    # -- on the way out, and the way back

    def callbacks_for(self, request: Request) -> tuple[bool, bool, bool]:
        """Branches for the relay; replies for it, NATed phones and logins; failures to ask another registrar."""
        ours = hops.is_media_ours()
        concerns_media = (ours or request.destination_is_nated) and request.method in self._reply_methods
        return (
            ours and request.method in self._branch_methods,
            concerns_media or (self.features.antiflood and request.is_register),
            hops.is_for_registrar() or (ours and request.is_invite),
        )

    def on_branch(self, branch: Branch) -> None:
        """Relay the media of a call that came in here, and mark its dialog for later requests."""
        relayed = self._engine.handle(branch)
        if not branch.has_to_tag:
            branch.mark_dialog_nated()
        if not relayed and branch.may_offer_media and self.settings.media.unavailable == "reject":
            branch.refuse(NO_MEDIA_RELAY)

    def on_acknowledge(self, request: Request) -> None:
        """The answer to a late offer."""
        if hops.is_media_ours():
            self._engine.handle(request)

    def on_reply(self, reply: IncomingReply) -> None:
        """A reply within its transaction: relay its media, write where a phone behind a NAT really is."""
        if not reply.is_success_or_progress:
            return
        if reply.method == "REGISTER" and reply.status >= 200:
            # Floods from elsewhere behind the same NAT shall not silence this phone.
            self.bans.note_endpoint(hops.asked_from())
        if reply.destination_is_nated:
            reply.add_contact_alias()
        if hops.is_media_ours():
            self._engine.handle(reply)
        elif reply.destination_is_nated and reply.nat_test(media.PRIVATE_SDP):
            hops.correct_media_address()

    def on_failure(self, failure: Failure) -> Reply | Relay | None:
        """A registrar that says nothing is left out, and another asked; else the failure goes to the caller."""
        if (
            hops.is_for_registrar()
            and not failure.is_cancelled
            and failure.was_silent
            and hops.choose_another_registrar()
        ):
            return RELAY
        if hops.is_media_ours():
            media.release(failure, self._engine, keep_dialogs=self.settings.media.keep_on_failed_reinvite)
        return None

    def _to_nated_phone(self, request: Request) -> None:
        request.mark_destination_nated()
        request.open_no_connection()

    def _correct_media(self, request: Request) -> None:
        """The edge that relays sees this request come from us, so it can not tell where a private address is."""
        if not hops.is_media_ours() and request.is_first_hop and request.nat_test(media.PRIVATE_SDP):
            hops.correct_media_address()
