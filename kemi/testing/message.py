"""A SIP message as it came from the wire: what a test hands to the fake KSR."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from kemi.testing.uri import Uri, address_param, address_uri, addresses

COMPACT = {
    "b": "referred-by",
    "c": "content-type",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
}


def header_key(name: str) -> str:
    """The name under which a header is found: long form, lower case (RFC 3261, section 7.3.3)."""
    lowered = name.strip().lower()
    return COMPACT.get(lowered, lowered)


@dataclass(repr=False)
class Message:
    """A request (`method` and `uri`) or a reply (`status` and `reason`; `method` is its CSeq's).

    Bytes that are not UTF-8 live in the text as lone surrogates, so that every message survives `parse` and `bytes`.
    `source` is where the packet came from and `destination` our socket that took it: (address, port).
    """

    method: str
    uri: str = ""
    status: int = 0
    reason: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str = ""
    source: tuple[str, int] = ("192.0.2.10", 5060)
    destination: tuple[str, int] = ("203.0.113.1", 5060)
    transport: str = "udp"

    @classmethod
    def parse(cls, data: bytes | str, **received: object) -> Message:
        """Read a message as it stands on the wire; keywords give source, destination and transport.

        Raises ValueError for a first line that is neither a request's nor a reply's, or a header without a colon.
        """
        raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape")
        text = raw.decode("utf-8", "surrogateescape")
        head, _, body = text.partition("\r\n\r\n")
        first, *lines = head.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n")
        headers = [_header(line) for line in lines]
        parts = first.split(" ", 2)
        if len(parts) != 3 or "SIP/2.0" not in (parts[0], parts[2]):
            raise ValueError(f"expected 'METHOD uri SIP/2.0' or 'SIP/2.0 code reason', found {first!r}")
        message = cls("", headers=headers, body=body)
        if parts[0] == "SIP/2.0":
            message.status, message.reason = int(parts[1]), parts[2]
            message.method = (message.header("CSeq") or "").rpartition(" ")[2]
        else:
            message.method, message.uri = parts[0], parts[1]
        for name, value in received.items():
            setattr(message, name, value)
        return message

    @property
    def is_reply(self) -> bool:
        return self.status > 0

    def header_values(self, name: str) -> list[str]:
        """All values of a header, in order, however its name is spelled."""
        return [value for key, value in self.headers if header_key(key) == header_key(name)]

    def header(self, name: str) -> str | None:
        """The first value of a header, None if there is none."""
        return next(iter(self.header_values(name)), None)

    def address(self, name: str) -> Uri | None:
        """The URI of the first From, To, Contact or Route address; None without one, or if it is no SIP URI."""
        value = self.header(name)
        return Uri.find(address_uri(addresses(value)[0])) if value else None

    def tag(self, name: str) -> str | None:
        """The tag of From or To, None if it has none."""
        return address_param(self.header(name) or "", "tag")

    @property
    def via(self) -> tuple[str, int | None, str]:
        """Host, port and branch of the topmost Via; "" where they cannot be read."""
        sent_by, _, params = (self.header("Via") or "").partition(";")
        uri = Uri.find("sip:" + sent_by.rpartition(" ")[2])
        return uri.host if uri else "", uri.port if uri else None, address_param(";" + params, "branch") or ""

    def with_header(self, name: str, value: str) -> Message:
        """A copy with the header set: what was there under that name is replaced."""
        changed = self.without_header(name)
        changed.headers.append((name, value))
        return changed

    def without_header(self, name: str) -> Message:
        """A copy without any header of that name."""
        changed = copy.deepcopy(self)
        changed.headers = [pair for pair in self.headers if header_key(pair[0]) != header_key(name)]
        return changed

    @property
    def first_line(self) -> str:
        """What it is, without the protocol's version: "INVITE sip:bob@example.com", "404 Not Found to INVITE"."""
        return (
            f"{self.status} {self.reason} to {self.method}" if self.is_reply else f"{self.method} {self.uri}"
        )

    def __repr__(self) -> str:
        return f"<{self.first_line} from {self.source[0]}:{self.source[1]}>"

    def __bytes__(self) -> bytes:
        return str(self).encode("utf-8", "surrogateescape")

    def __str__(self) -> str:
        """The message as on the wire; what is not UTF-8 appears as lone surrogates."""
        first = (
            f"SIP/2.0 {self.status} {self.reason}" if self.is_reply else f"{self.method} {self.uri} SIP/2.0"
        )
        lines = [first, *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join(lines) + "\r\n\r\n" + self.body


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise ValueError(f"expected 'Name: value', found header line {line!r}")
    return name.strip(), value.strip()
