"""Rules without mistakes."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import KSR

from kemi.router import Router, Rule
from kemi.verdict import RELAY, Reply

if TYPE_CHECKING:
    from kemi.request import Request
    from types_of_ours import Verdict


class Base(Router):
    def start(self, rank: int) -> None:
        self.numbers = sqlite3.connect("numbers.sqlite")


class Routes(Base):
    def rules(self) -> tuple[Rule, ...]:
        return (self.refuse_premium, *super().rules())

    def refuse_premium(self, request: Request) -> Verdict | None:
        return Reply(403, "No premium numbers") if request.uri_user.startswith("0900") else None

    def register(self, request: Request, *, strict: bool = False) -> Verdict | None:
        return super().register(request) or self.to_pstn2(request)

    def to_pstn2(self, request: Request) -> Verdict | None:
        if self.features.nat and KSR.nathelper.nat_uac_test(1) > 0:
            return RELAY
        return None
