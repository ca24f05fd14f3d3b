"""What the values of `.env` must look like. Asked before anything starts, and by the container once more."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping, Sequence

REQUIRED = ("ADVERTISED_ADDRESS", "SIP_DOMAIN", "DB_PASSWORD")
"""What has no default."""

_OWN_DATABASE = "database"
_DB_MODES = {"0": "memory only", "1": "write-through", "2": "write-back", "3": "database only"}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def faults(values: Mapping[str, str], required: Sequence[str] = REQUIRED) -> list[str]:
    """One line for each value that cannot work: its name, what was expected, what was found."""
    found = [
        f"{name}: expected a value, found {'nothing' if name in values else 'no such line'}; {_ADVICE[name]}"
        for name in required
        if not values.get(name)
    ]
    for name, expected in _EXPECTED.items():
        value = values.get(name, "")
        if value and (fault := expected(value)):
            # A password is not shown, not even a wrong one.
            shown = "one that does not fit" if name.endswith("PASSWORD") else f"'{value}'"
            found.append(f"{name}: expected {fault}, found {shown}")
    if values.get("TLS_PORT") and values["TLS_PORT"] == values.get("SIP_PORT"):
        found.append(f"TLS_PORT: expected another port than SIP_PORT's, found {values['TLS_PORT']} for both")
    host = values.get("DB_HOST", _OWN_DATABASE)
    if values.get("LOCAL_DATABASE") == "0" and host in ("", _OWN_DATABASE):
        found.append(
            f"DB_HOST: expected the host of your database server, as LOCAL_DATABASE=0 starts none here, found '{host}'"
        )
    return found


def required(values: Mapping[str, str], profiles: Collection[str]) -> tuple[str, ...]:
    """What must have a value where the stack is started with these profiles. No password may be empty."""
    more = []
    if values.get("LOCAL_DATABASE") != "0":
        more.append("DB_ROOT_PASSWORD")
    if "phones" in profiles:
        more.append("PHONE_PASSWORD")
    if "monitor" in profiles:
        more.append("GRAFANA_PASSWORD")
    return (*REQUIRED, *more)


def _address(value: str) -> str | None:
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        address = None
    if (
        address is None
        or address.is_multicast
        or address.is_reserved
        or address.is_link_local
        or not int(address)
    ):
        return "the IPv4 address at which phones reach this machine, such as 203.0.113.7"
    return None


def _listen_address(value: str) -> str | None:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return "an IPv4 address of this machine, or 0.0.0.0 for all"
    return None


def _domain(value: str) -> str | None:
    return None if _HOST.fullmatch(value) else "a host name such as sip.example.org, or an address"


def _port(value: str) -> str | None:
    return None if value.isdigit() and 0 < int(value) < 65536 else "a port, 1 to 65535"


def _ports(value: str) -> str | None:
    low, _, high = value.partition("-")
    fits = low.isdigit() and high.isdigit() and 1024 <= int(low) < int(high) <= 65535
    return None if fits else "MIN-MAX with 1024 <= MIN < MAX <= 65535, such as 35000-35059"


def _network(value: str) -> str | None:
    try:
        ipaddress.IPv4Address(f"{value}.1")
    except ValueError:
        return "the first three bytes of a network, such as 198.51.100"
    return None


def _name(value: str) -> str | None:
    return None if _NAME.fullmatch(value) else "letters, digits, - and _"


def _password(value: str) -> str | None:
    # Kamailio takes a DBURL apart at these, and knows no way to write them otherwise; compose takes what follows a $
    # for the name of a variable, and tells it.
    return "a text without blanks, quotes and : @ / \\ $" if re.search(r"[:@/\s\"'\\$]", value) else None


def _phone_password(value: str) -> str | None:
    # baresip's lines end at a ; too.
    return "a text without blanks, quotes and : @ / \\ $ ;" if ";" in value or _password(value) else None


def _db_mode(value: str) -> str | None:
    known = ", ".join(f"{mode} ({meaning})" for mode, meaning in _DB_MODES.items())
    return None if value in _DB_MODES else f"one of {known}"


def _yes_or_no(value: str) -> str | None:
    return None if value in ("0", "1") else "1 (start a database here) or 0 (DB_HOST is another machine)"


def _number(value: str) -> str | None:
    return None if value.isdigit() and int(value) > 0 else "a number above 0"


_EXPECTED: dict[str, Callable[[str], str | None]] = {
    "ADVERTISED_ADDRESS": _address,
    "PUBLISH_ADDRESS": _listen_address,
    "SIP_DOMAIN": _domain,
    "SIP_PORT": _port,
    "TLS_PORT": _port,
    "MEDIA_PORTS": _ports,
    "SIP_PORT_2": _port,
    "TLS_PORT_2": _port,
    "MEDIA_PORTS_2": _ports,
    "NETWORK": _network,
    "PRIVATE_NETWORK": _network,
    "LOCAL_DATABASE": _yes_or_no,
    "DB_HOST": _domain,
    "DB_PORT": _port,
    "DB_NAME": _name,
    "DB_USER": _name,
    "DB_PASSWORD": _password,
    "DB_ROOT_PASSWORD": _password,
    "PHONE_PASSWORD": _phone_password,
    "GRAFANA_PASSWORD": _password,
    "DB_MODE": _db_mode,
    "KAMAILIO_WORKERS": _number,
    "KAMAILIO_MEMORY_MB": _number,
    "MONITOR_ADDRESS": _listen_address,
    "PROMETHEUS_PORT": _port,
    "GRAFANA_PORT": _port,
}
KNOWN = frozenset(_EXPECTED)
"""The lines of `.env` that are looked at."""

_ADVICE = {
    "ADVERTISED_ADDRESS": "set the IPv4 address at which phones reach this machine",
    "SIP_DOMAIN": "set your SIP domain, or the same address",
    "DB_PASSWORD": "set the password of DB_USER in the database",
    "DB_ROOT_PASSWORD": "set a password for the database's own administrator",
    "PHONE_PASSWORD": "set a password for the two phones",
    "GRAFANA_PASSWORD": "set a password for Grafana's user admin",
}
