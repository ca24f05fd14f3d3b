"""Something that happened in the laboratory, told while it happens."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One line of the live account.

    Kinds: ``started`` (a part of the lab is up), ``proven`` (a NAT is what it claims), ``registered``,
    ``calling``, ``established``, ``heard``, ``ended``, ``result`` (a call of the grid is evaluated), ``problem``.
    """

    kind: str
    who: str
    """Name of the phone, gateway, server or relay."""
    text: str
    """A sentence for a person."""
    call: str = ""
    """The call it belongs to, as ``caller's NAT -> callee's NAT``; empty outside a call."""


OnEvent = Callable[[Event], None]
"""A listener; called from several threads."""


def ignore(_event: Event) -> None:
    """Take no notice: the default listener."""
