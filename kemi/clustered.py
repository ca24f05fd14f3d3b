"""A registrar of a cluster (WITH_CLUSTER): it hears edges only, and shares its contacts with the other registrars.

It decides what a single server decides, but leaves NATs, media and dialogs to the edges: no call notices when it dies.
It answers every request, since an edge takes one that is silent for dead: own rules should reply rather than drop.
"""

from __future__ import annotations

from dataclasses import replace

from kemi import hops, registrar, tables
from kemi.bans import LOGINS
from kemi.features import Features
from kemi.flags import Flag
from kemi.members import Members
from kemi.request import Request
from kemi.router import Router, Rule
from kemi.settings import Settings
from kemi.settings_file import SettingsError
from kemi.verdict import Absorb, Drop, Reply, Verdict

SHARED = Absorb("shared contacts")
NOT_A_REGISTRAR = Drop("KDMQ from elsewhere")
NOT_THROUGH_AN_EDGE = Reply(403, "Not through an edge")
BANNED = Reply(403, "Forbidden")


class EdgeRequest(Request):
    """A request that came through an edge: its source is the client, as the edge saw it."""

    __slots__ = ()

    @property
    def source_ip(self) -> str:
        """The address that the edge got it from."""
        return hops.client_address() or super().source_ip

    @property
    def source_port(self) -> int:
        """The port that the edge got it from."""
        return hops.client_port() or super().source_port

    @property
    def has_logged_in(self) -> bool:
        """Has anyone logged in from the client's address and port lately?"""
        return tables.holds(LOGINS, self.source)

    @property
    def noted_login(self) -> str | int | None:
        """What the table ``authok`` says of the client with the user in From."""
        return tables.get(LOGINS, f"{self.source}|{self.from_user}")

    @property
    def is_from_trusted_address(self) -> bool:
        """Is the client in group 1 of module permissions' table address?"""
        return hops.is_client_trusted(self.source_ip, self.source_port)


class Registrar(Router):
    """What a registrar behind edges decides."""

    request_type = EdgeRequest

    def __init__(self, settings: Settings, features: Features) -> None:
        # The edges see to NATs and media; keepalives are module nathelper's.
        super().__init__(settings, replace(features, nat=False))
        self._members = Members(settings.cluster, "WITH_CLUSTER")
        if not hops.has_server_id():
            raise SettingsError(
                "kamailio.cfg: WITH_CLUSTER: expected SERVER_ID to be defined, a number that no other registrar of "
                "the cluster has, found that it is not; add: -A SERVER_ID=1"
            )

    def rules(self) -> tuple[Rule, ...]:
        """Those of a single server, after two that say who is heard at all."""
        rules = list(super().rules())
        rules.insert(rules.index(self.find_nat), self.refuse_outsiders)
        return (self.share_contacts, *rules)

    def share_contacts(self, _request: Request) -> Verdict | None:
        """What another registrar tells about its contacts (module dmq)."""
        if not hops.is_for_dmq():
            return None
        if not self._members.registrar_sent_it():
            return NOT_A_REGISTRAR
        hops.hand_to_dmq()
        return SHARED

    def screen_floods(self, request: Request) -> Verdict | None:
        """The edges count what their clients send; for us all of it comes from few addresses."""
        return None if self._members.edge_sent_it() else super().screen_floods(request)

    def refuse_outsiders(self, _request: Request) -> Verdict | None:
        """403 for what came past the edges: its Path and its Via may say anything."""
        return None if self._members.edge_sent_it() else NOT_THROUGH_AN_EDGE

    def find_nat(self, request: Request) -> Verdict | None:
        """The edge has found out, and says so in the Path that it adds to a REGISTER."""
        if request.is_register and hops.path_says_received():
            request.mark_source_nated()
        return None

    def authenticate(self, request: Request) -> Verdict | None:
        """As a single server, but who is banned is told so: our silence would look to the edge as if we were dead."""
        verdict = super().authenticate(request)
        return BANNED if isinstance(verdict, Drop) else verdict

    def record_route(self, request: Request) -> Verdict | None:
        """Take away routes, account for calls; the path of the dialog is the edges'."""
        request.remove_routes()
        if request.is_invite:
            request.account(Flag.ACCOUNT)
        return None

    def register(self, request: Request) -> Verdict | None:
        """Store where a phone is. Only OPTIONS follow a Path, so they are the keepalive of a phone behind a NAT."""
        if not request.is_register:
            return None
        will_do = self.features.database_may_fail
        return registrar.register(request, options_keepalive=True, memory_will_do=will_do)
