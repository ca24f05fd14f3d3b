"""Pseudo-variables of the message at hand: `$ru`, `$avp(x)`, `$(ua{s.substr,0,100})`.

Only names that are modelled can be read; any other raises, since the server would answer None for a typing error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from kemi.testing.uri import Uri

if TYPE_CHECKING:
    from kemi.testing.ksr import FakeKSR

Value = str | int | None

_NAME = re.compile(r"\$\(?(?P<name>\w+)(?:\((?P<key>[^()]*)\))?(?P<transformations>(?:\{[^}]*\})*)\)?")


def _uri(name: str, part: Callable[[Uri], Value]) -> Callable[[FakeKSR], Value]:
    def read(ksr: FakeKSR) -> Value:
        uri = {"r": lambda: ksr.now.uri, "d": lambda: destination(ksr)}.get(
            name, lambda: ksr.now.message.address(name)
        )()
        return part(uri) if uri else None

    return read


def destination(ksr: FakeKSR) -> Uri | None:
    """The next hop that was set, None if there is none."""
    return Uri.parse(ksr.now.first.destination) if ksr.now.first.destination else None


def _header(name: str) -> Callable[[FakeKSR], Value]:
    return lambda ksr: ksr.now.message.header(name)


CREDENTIALS = ("Authorization", "Proxy-Authorization")


def credentials(ksr: FakeKSR, name: str, headers: tuple[str, ...] = CREDENTIALS) -> str | None:
    """A field of the digest in one of these headers (RFC 7616), None without one."""
    for header in headers:
        match = re.search(rf'[ ,]{name}="?([^",]*)"?', ksr.now.message.header(header) or "")
        if match:
            return match[1]
    return None


def _request_only(read: Callable[[FakeKSR], Value]) -> Callable[[FakeKSR], Value]:
    return lambda ksr: None if ksr.now.message.is_reply else read(ksr)


READ: dict[str, Callable[[FakeKSR], Value]] = {
    "ru": _request_only(lambda ksr: ksr.now.first.uri),
    "rU": _uri("r", lambda uri: uri.user or None),
    "rd": _uri("r", lambda uri: uri.host),
    "rp": _uri("r", lambda uri: str(uri.port or 5060)),
    "rz": _uri("r", lambda uri: uri.scheme),
    "rP": _uri("r", lambda uri: uri.transport.upper()),
    "ou": _request_only(lambda ksr: ksr.now.message.uri),
    "du": lambda ksr: ksr.now.first.destination or None,
    "dd": _uri("d", lambda uri: uri.host),
    "dp": _uri("d", lambda uri: str(uri.port or 5060)),
    "fu": _uri("From", str),
    "fU": _uri("From", lambda uri: uri.user or None),
    "fd": _uri("From", lambda uri: uri.host),
    "ft": lambda ksr: ksr.now.message.tag("From"),
    "tu": _uri("To", str),
    "tU": _uri("To", lambda uri: uri.user or None),
    "td": _uri("To", lambda uri: uri.host),
    "tt": lambda ksr: ksr.now.message.tag("To"),
    "ct": _header("Contact"),
    "cT": _header("Content-Type"),
    "ci": _header("Call-ID"),
    "cs": lambda ksr: (ksr.now.message.header("CSeq") or "").partition(" ")[0] or None,
    "ua": _header("User-Agent"),
    "rm": lambda ksr: ksr.now.message.method,
    "rs": lambda ksr: ksr.now.message.status or None,
    "rr": lambda ksr: ksr.now.message.reason or None,
    "rb": lambda ksr: ksr.now.message.body,
    "mb": lambda ksr: str(ksr.now.message),
    "ml": lambda ksr: len(bytes(ksr.now.message)),
    "si": lambda ksr: ksr.now.message.source[0],
    "sp": lambda ksr: ksr.now.message.source[1],
    "su": lambda ksr: source_uri(ksr),
    "Ri": lambda ksr: ksr.now.message.destination[0],
    "Rp": lambda ksr: ksr.now.message.destination[1],
    "proto": lambda ksr: ksr.now.message.transport,
    "pr": lambda ksr: ksr.now.message.transport,
    "au": lambda ksr: credentials(ksr, "username"),
    "ar": lambda ksr: credentials(ksr, "realm"),
    "cl": lambda ksr: int(ksr.now.message.header("Content-Length") or 0),
    "hu": lambda ksr: ksr.now.message.uri,
    "route_uri": lambda ksr: str(ksr.now.top_route) if ksr.now.top_route else None,
}
_INNER = re.compile(r"\$[A-Za-z]+")
KEYED = ("avp", "var", "hdr", "sht", "def", "sel")


def source_uri(ksr: FakeKSR) -> str:
    """sip:address:port of the sender, with the transport unless it is UDP."""
    host, port = ksr.now.message.source
    transport = ksr.now.message.transport
    return f"sip:{host}:{port}" + ("" if transport == "udp" else f";transport={transport}")


def read(ksr: FakeKSR, text: str) -> Value:
    """The value of a pseudo-variable. Raises ValueError for a name that is not modelled here."""
    match = _NAME.fullmatch(text)
    name, key = (match["name"], match["key"]) if match else ("", None)
    if match is None or (name not in READ and name not in KEYED) or (name in KEYED) != (key is not None):
        known = " ".join(f"${known}" for known in READ) + " " + " ".join(f"${known}(...)" for known in KEYED)
        raise ValueError(
            f"pseudo-variable {text!r} is not known to the fake KSR; known: {known}. "
            "If Kamailio has it, add it to kemi/testing/pseudovars.py"
        )
    value = _keyed(ksr, name, key) if key is not None else READ[name](ksr)
    for transformation in re.findall(r"\{([^}]*)\}", match["transformations"]):
        value = _transform(text, value, transformation)
    return value


def _keyed(ksr: FakeKSR, name: str, key: str) -> Value:
    if name == "avp":
        return next(reversed(ksr.now.avps.get(key.removeprefix("s:"), [])), None)
    if name == "var":
        return ksr.variables.get(key, 0)
    if name == "hdr":
        return ksr.now.message.header(key)
    if name == "def":
        return ksr.defines.get(key)
    if name == "sel":
        return ksr.custom.get(key.removeprefix("cfg_get."), "")
    table, _, entry = key.partition("=>")
    return ksr.htables[table].get(_INNER.sub(lambda found: _text(read(ksr, found[0])), entry))


def _text(value: Value) -> str:
    return "<null>" if value is None else str(value)


def _transform(text: str, value: Value, transformation: str) -> Value:
    name, *parameters = transformation.split(",")
    if value is None:
        return None
    raw = str(value).encode("utf-8", "surrogateescape")
    if name == "s.substr":
        start, length = int(parameters[0]), int(parameters[1])
        return raw[start : start + length if length else None].decode("utf-8", "surrogateescape")
    if name == "s.encode.hexa":
        # Kamailio 5.6 stops at a NUL and fills up with zeros.
        before, nul, after = raw.partition(b"\0")
        return before.hex() + "00" * len(nul + after)
    if name == "s.len":
        return len(raw)
    if name in ("uri.host", "uri.user"):
        uri = Uri.parse(str(value))
        return uri.host if name == "uri.host" else uri.user
    raise ValueError(f"{text!r}: transformation {{{transformation}}} is not known to the fake KSR")


def write(ksr: FakeKSR, text: str, value: str | int | None) -> None:
    """Set a pseudo-variable, None unsets it. Raises ValueError for one that cannot be written."""
    match = _NAME.fullmatch(text)
    name, key = (match["name"], match["key"]) if match else ("", None)
    first = ksr.now.first if name not in ("var", "sht") else None
    if name == "ru" and first and isinstance(value, str):
        first.uri = value
    elif name == "rU" and first and isinstance(value, str):
        first.uri = str(Uri.parse(first.uri).with_user(value))
    elif name == "rd" and first and isinstance(value, str):
        first.uri = str(Uri.parse(first.uri).with_host(value))
    elif name == "du" and first and (value is None or isinstance(value, str)):
        first.destination = value
    elif name == "avp" and key:
        write_avp(ksr, key.removeprefix("s:"), value)
    elif name == "var" and key:
        ksr.variables[key] = 0 if value is None else value
    elif name == "sht" and key:
        table, _, entry = key.partition("=>")
        ksr.htables[table].pop(entry, None)
        if value is not None:
            ksr.htables[table][entry] = value
    else:
        raise ValueError(f"{text!r} cannot be set to {value!r}; the server would ignore it and say yes")


def write_avp(ksr: FakeKSR, name: str, value: str | int | None) -> None:
    """Put a value on top of an AVP, or take the topmost away."""
    stack = ksr.now.avps.setdefault(name, [])
    if value is not None:
        stack.append(value)
    elif stack:
        stack.pop()
