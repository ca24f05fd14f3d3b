"""SIP URIs and the addresses in From, To, Contact and Route headers, as far as routing needs them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_URI = re.compile(
    r"(?P<scheme>sips?):(?:(?P<user>[^@:;?]*)(?::[^@]*)?@)?(?P<host>\[[^\]]+\]|[^:;?>]+)"
    r"(?::(?P<port>\d+))?(?P<params>(?:;[^?]*)?)(?:\?.*)?",
    re.IGNORECASE | re.DOTALL,
)
_BRACKETS = re.compile(r"<([^>]*)>")


@dataclass(frozen=True)
class Uri:
    """A SIP URI; `params` keeps its leading semicolon (";lr;nat=yes"), `port` is None where none is written."""

    scheme: str
    user: str
    host: str
    port: int | None = None
    params: str = ""

    @classmethod
    def parse(cls, text: str) -> Uri:
        """Raises ValueError if the text is no SIP URI."""
        match = _URI.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"expected a SIP URI such as sip:alice@example.com, found {text!r}")
        port = int(match["port"]) if match["port"] else None
        return cls(match["scheme"].lower(), match["user"] or "", match["host"], port, match["params"])

    @classmethod
    def find(cls, text: str) -> Uri | None:
        """Like `parse`, but None for what is no SIP URI."""
        return cls.parse(text) if _URI.fullmatch(text.strip()) else None

    def param(self, name: str) -> str | None:
        """Value of a parameter, "" for one without value, None if it is not there."""
        for part in self.params.split(";")[1:]:
            key, _, value = part.partition("=")
            if key.strip().lower() == name:
                return value.strip()
        return None

    @property
    def transport(self) -> str:
        return (self.param("transport") or "udp").lower()

    def with_user(self, user: str) -> Uri:
        return replace(self, user=user)

    def with_host(self, host: str) -> Uri:
        return replace(self, host=host)

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port is not None else ""
        return f"{self.scheme}:{user}{self.host}{port}{self.params}"


def address_uri(header: str) -> str:
    """The URI in a From, To, Contact or Route value, without angle brackets and header parameters."""
    match = _BRACKETS.search(header)
    return match[1] if match else header.partition(";")[0].strip()


def address_param(header: str, name: str) -> str | None:
    """Value of a header parameter such as tag; None if it is not there."""
    _, bracket, after = header.partition(">")
    params = after if bracket else header
    return Uri("sip", "", "", None, ";" + params.partition(";")[2]).param(name)


def addresses(header: str) -> list[str]:
    """The comma-separated values of a Route, Record-Route or Contact header."""
    return [
        part.strip()
        for part in re.split(r",(?![^<]*>)(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", header)
        if part.strip()
    ]
