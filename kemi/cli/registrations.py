"""Who is registered, and how many of them behind a NAT, from Kamailio's location table."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kemi.cli import rpc
from kemi.flags import BranchFlag

#: The answer with the whole table must fit a datagram of 208 KiB, the system's usual limit.
MOST_CONTACTS = 200

_URI = re.compile(r"sips?:(?:[^@;?]*@)?(?P<host>\[[^]]+\]|[^:;?>]+)(?::(?P<port>\d+))?")
# RFC 1918 and RFC 6598, as nathelper counts them: Python's own is_private has the documentation addresses too.
_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
_DEFAULT_PORT = 5060


@dataclass(frozen=True)
class _Place:
    """Where a SIP URI leads."""

    host: str
    port: int

    @classmethod
    def of(cls, uri: str) -> _Place | None:
        found = _URI.match(uri)
        return cls(found["host"].strip("[]"), int(found["port"] or _DEFAULT_PORT)) if found else None

    @property
    def is_private(self) -> bool:
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return any(address in network for network in _PRIVATE)


# Named as in the setting nat.tests where nat_uac_test has the same check. What a Via said is not in the table.
_SIGNS: dict[str, Callable[[_Place, _Place], bool]] = {
    "contact": lambda contact, _source: contact.is_private,
    "contact_address": lambda contact, source: contact.host != source.host,
    "contact_port": lambda contact, source: contact.port != source.port,
    "source": lambda _contact, source: source.is_private,
}


@dataclass
class Registrations:
    """A summary of the location table."""

    users: int = 0
    contacts: int = 0
    #: None where the table is too large to be looked through.
    nated: int | None = None
    #: How many contacts behind a NAT show each sign of it; one may show several.
    signs: dict[str, int] = field(default_factory=dict)


def registrations(path: Path) -> Registrations:
    """The summary. Raises RpcError without an answer."""
    totals = rpc.call(path, "stats.fetch", "location_contacts", "registered_users")
    values = {name.rpartition(".")[2]: int(value) for name, value in totals.items()}
    summary = Registrations(values.get("registered_users", 0), values.get("location_contacts", 0))
    if summary.contacts > MOST_CONTACTS:
        return summary
    nated = [contact for contact in _contacts(rpc.call(path, "ul.dump")) if _is_nated(contact)]
    summary.nated = len(nated)
    signs: Counter[str] = Counter()
    for contact in nated:
        signs.update(_signs(contact))
    summary.signs = {name: signs[name] for name in _SIGNS if signs[name]}
    return summary


def _contacts(dump: Any) -> Iterator[dict[str, Any]]:
    for domain in dump["Domains"]:
        for user in domain["Domain"]["AoRs"]:
            for contact in user["Info"]["Contacts"]:
                yield contact["Contact"]


def _is_nated(contact: dict[str, Any]) -> bool:
    return bool(int(contact["CFlags"]) >> BranchFlag.NATED_DESTINATION & 1)


def _signs(contact: dict[str, Any]) -> Iterator[str]:
    told, source = _Place.of(contact["Address"]), _Place.of(contact["Received"])
    if told and source:
        yield from (name for name, shows in _SIGNS.items() if shows(told, source))
    if ";transport=ws" in contact["Received"].lower():
        yield "websocket"
