"""The rules on a fake Kamailio that is as strict as the real one: no network, milliseconds."""

from kemi.testing import FakeServer, invite
from kemi.verdict import RELAY

from routes import NOBODY


def test_nobody_cannot_be_called(router: FakeServer) -> None:
    assert router.handle(invite("nobody")) == NOBODY


def test_bob_can_be_called(router: FakeServer) -> None:
    router.register("bob")
    assert router.handle(invite("bob")) == RELAY
