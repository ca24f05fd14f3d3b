"""A SIP message as it stood on the wire, taken apart only as far as a ladder needs it."""

import re
from dataclasses import dataclass
from functools import cached_property

COMPACT_NAMES = {
    "c": "Content-Type",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "s": "Subject",
    "t": "To",
    "v": "Via",
}
"""RFC 3261, section 7.3.3."""

_BRANCH = re.compile(r";\s*branch\s*=\s*([^;,\s]+)", re.IGNORECASE)
_FOLD = re.compile(r"\r?\n[ \t]+")


@dataclass(frozen=True)
class Header:
    """One header line."""

    name: str
    """The long form, as the sender spelled it."""
    value: str

    def __str__(self) -> str:
        return f"{self.name}: {self.value}".rstrip()


@dataclass(frozen=True)
class Message:
    """A request or a reply."""

    first_line: str
    headers: tuple[Header, ...]
    body: str

    @classmethod
    def parse(cls, data: bytes) -> "Message":
        """Read one message.

        Bytes that are not UTF-8 are shown as escapes, so that any message of a capture can be looked at.
        Raises ValueError when the first line is neither a request line nor a status line.
        """
        text = data.decode("utf-8", "backslashreplace")
        head, _, body = text.partition("\r\n\r\n")
        first_line, *lines = _FOLD.sub(" ", head).split("\r\n")
        if "SIP/2.0" not in first_line:
            raise ValueError(f"expected a SIP request line or status line, found {first_line[:80]!r}")
        headers = []
        for line in lines:
            name, _, value = line.partition(":")
            name = name.strip()
            headers.append(Header(COMPACT_NAMES.get(name.lower(), name), value.strip()))
        return cls(first_line, tuple(headers), body)

    def values(self, name: str) -> list[str]:
        """The values of every header of that name, topmost first; several in one line stay together."""
        return [header.value for header in self.headers if header.name.lower() == name.lower()]

    def value(self, name: str) -> str:
        """The topmost value of that header, empty when there is none."""
        return next(iter(self.values(name)), "")

    @cached_property
    def is_request(self) -> bool:
        """True for a request, False for a reply."""
        return not self.first_line.startswith("SIP/2.0 ")

    @cached_property
    def method(self) -> str:
        """The request's method; of a reply, the method it answers."""
        return self.first_line.split(" ")[0] if self.is_request else self.value("CSeq").split(" ")[-1]

    @cached_property
    def status(self) -> int:
        """The reply's status code, 0 for a request."""
        return 0 if self.is_request else int(self.first_line.split(" ")[1])

    @cached_property
    def title(self) -> str:
        """What an arrow says: ``INVITE``, or ``180 Ringing``."""
        return self.method if self.is_request else self.first_line.removeprefix("SIP/2.0 ")

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self.value("Call-ID")

    @cached_property
    def branches(self) -> list[str]:
        """The branch of every Via, topmost first (RFC 3261, section 8.1.1.7)."""
        return [match[1] for via in self.values("Via") for match in _BRANCH.finditer(via)]

    @cached_property
    def key(self) -> tuple[str, str, str, str]:
        """What stays the same while a message travels from one hop to the next, whatever a NAT does to it."""
        return self.first_line, self.call_id, self.value("CSeq"), next(iter(self.branches), "")

    @property
    def lines(self) -> list[str]:
        """The whole message as lines of text."""
        return [self.first_line, *map(str, self.headers), "", *self.body_lines]

    @property
    def body_lines(self) -> list[str]:
        """The lines of the body; none when it is empty."""
        return self.body.splitlines()
