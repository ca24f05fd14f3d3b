"""Something that happened in the laboratory, told while it happens."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


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
    detail: Mapping[str, str] = field(default_factory=dict)
    """The same as values: ``contact``, ``received``, ``socket``, ``nat``, ``to``, ``media`` ..."""


OnEvent = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Take no notice: the default listener."""
