"""For tests of routes: your own as well as the library's.

Without Kamailio: the pytest fixtures `ksr`, a strict fake of KSR, and `router`, your routes on it; `invite`,
`register`, `request` and their sisters build the messages. With a real one on loopback: the fixture `kamailio` and its
`client`. With phones behind NATs: the fixture `lab`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kemi.testing.builders import ack, bye, cancel, in_dialog, invite, register, reply, request, sdp
    from kemi.testing.client import Client
    from kemi.testing.fake_auth import authorize
    from kemi.testing.fake_server import FakeServer
    from kemi.testing.handled import Handled
    from kemi.testing.ksr import FakeKSR
    from kemi.testing.message import Message
    from kemi.testing.server import KamailioServer

__all__ = [
    "Client",
    "FakeKSR",
    "FakeServer",
    "Handled",
    "KamailioServer",
    "Message",
    "ack",
    "authorize",
    "bye",
    "cancel",
    "in_dialog",
    "invite",
    "register",
    "reply",
    "request",
    "sdp",
]

_HOMES = {
    "Client": "client",
    "FakeKSR": "ksr",
    "FakeServer": "fake_server",
    "Handled": "handled",
    "KamailioServer": "server",
    "Message": "message",
    "authorize": "fake_auth",
}


def __getattr__(name: str) -> Any:
    # The pytest plugin imports this package in every run: nothing else is imported before it is needed.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'builders')}"), name)
    except ModuleNotFoundError as problem:
        raise ModuleNotFoundError(
            f"{__name__}.{name}: needs the Python package {problem.name}: pip install 'kemi[testing]'"
        ) from problem
