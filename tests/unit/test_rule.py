"""Which rules are asked about a request."""

from __future__ import annotations

import pytest

from kemi.features import Features
from kemi.request import Request
from kemi.router import Router
from kemi.rule import Rule, asked_about, only
from kemi.settings import Settings
from kemi.testing.builders import invite, register
from kemi.testing.ksr import FakeKSR
from kemi.verdict import Reply, Verdict
from tests.unit.serving import MakeServer


def names(method: str, router: Router) -> list[str]:
    return [rule.__name__ for rule in asked_about(method, router.rules(), router.features)]


def test_a_rule_for_other_methods_is_not_asked(ksr: FakeKSR) -> None:
    router = Router(Settings(), Features())
    assert "register" in names("REGISTER", router)
    assert "register" not in names("INVITE", router)
    assert "answer_keepalive" in names("OPTIONS", router)


def test_a_rule_of_a_feature_that_is_off_is_not_asked(ksr: FakeKSR) -> None:
    assert "to_pstn" not in names("INVITE", Router(Settings(), Features()))
    assert "to_pstn" in names("INVITE", Router(Settings(), Features(pstn=True)))


class Teapot(Router):
    """A decorated rule that is called directly, an override without decorator, and one of the user's own."""

    def rules(self) -> tuple[Rule, ...]:
        return (self.brew, *super().rules())

    @only("INVITE")
    def brew(self, request: Request) -> Verdict | None:
        return Reply(418, "I'm a teapot")

    def register(self, request: Request) -> Verdict | None:
        return self.brew(request) or super().register(request)


def test_a_decorated_rule_called_directly_has_no_opinion_of_other_requests(make_server: MakeServer) -> None:
    server = make_server(router=Teapot)
    registered = server.receive(register("alice"))
    assert registered is not None
    assert registered.code == 200
    refused = server.receive(invite("bob"))
    assert refused is not None
    assert refused.code == 418


def test_an_override_is_asked_about_all_requests(ksr: FakeKSR) -> None:
    assert "register" in names("INVITE", Teapot(Settings(), Features()))


def test_a_feature_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match=r"only\(where='pstm'\): expected one of alias_db, "):
        only(where="pstm")
