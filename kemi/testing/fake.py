"""The behaviours behind the fake KSR's functions, one class per family of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kemi.stubs.exports import Export
    from kemi.testing.ksr import FakeKSR
    from kemi.testing.state import Handling

YES = 1
NO = -1


def code(holds: bool) -> int:
    """Kamailio's int for yes or no."""
    return YES if holds else NO


def no(export: Export) -> int | bool | None:
    """What a function without behaviour gives: no, in its own type."""
    return {"bool": False, "xval": None, "none": 0}.get(export.returns, NO)


class Family:
    """Functions of one family (``KSR.sl...``): each public method is one, named as Kamailio names it."""

    def __init__(self, ksr: FakeKSR) -> None:
        self.ksr = ksr

    @property
    def now(self) -> Handling:
        return self.ksr.now


def families() -> dict[str, Callable[[FakeKSR], Any]]:
    """Behaviour classes by the name that stands after ``KSR.``; "" for the core's own functions."""
    from kemi.testing import (
        fake_auth,
        fake_checks,
        fake_core,
        fake_headers,
        fake_htable,
        fake_media,
        fake_mqueue,
        fake_nat,
        fake_pv,
        fake_registrar,
        fake_replies,
        fake_routes,
        fake_tm,
    )

    return {
        "": fake_core.Core,
        "auth": fake_auth.Auth,
        "auth_db": fake_auth.AuthDb,
        "corex": fake_checks.Corex,
        "hdr": fake_headers.Hdr,
        "htable": fake_htable.Htable,
        "kx": fake_pv.Kx,
        "maxfwd": fake_checks.Maxfwd,
        "mqueue": fake_mqueue.Mqueue,
        "nathelper": fake_nat.Nathelper,
        "pike": fake_checks.Pike,
        "pv": fake_pv.Pv,
        "pvx": fake_pv.Pvx,
        "registrar": fake_registrar.Registrar,
        "rr": fake_routes.Rr,
        "rtpengine": fake_media.Rtpengine,
        "rtpproxy": fake_media.Rtpproxy,
        "sanity": fake_checks.Sanity,
        "siputils": fake_checks.Siputils,
        "sl": fake_replies.Sl,
        "textops": fake_headers.Textops,
        "textopsx": fake_headers.Textopsx,
        "tm": fake_tm.Tm,
        "tmx": fake_tm.Tmx,
    }
