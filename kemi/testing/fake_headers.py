"""KSR.hdr, KSR.textops and KSR.textopsx: headers, and the changes that go out with the message."""

from __future__ import annotations

import copy
import re

from kemi.testing.fake import NO, YES, Family, code
from kemi.testing.fake_pv import NULL
from kemi.testing.message import Message, header_key


def parse_line(text: str) -> tuple[str, str]:
    """A header as text functions take it. Raises ValueError unless it is 'Name: value' with CRLF at its end."""
    name, colon, value = text.partition(":")
    if not colon or not text.endswith("\r\n") or "\r\n" in text[:-2]:
        raise ValueError(f"expected one header line such as 'X-Name: value\\r\\n', found {text!r}")
    return name.strip(), value.strip()


def remove(message: Message, name: str) -> None:
    """Take every header of that name off the message."""
    message.headers = [pair for pair in message.headers if header_key(pair[0]) != header_key(name)]


class Hdr(Family):
    """Reading sees the message as received; changes go to the message on its way out."""

    def get(self, name: str) -> str | None:
        return self.now.message.header(name)

    def gete(self, name: str) -> str:
        return self.now.message.header(name) or ""

    def getw(self, name: str) -> str:
        value = self.now.message.header(name)
        return NULL if value is None else value

    def get_idx(self, name: str, index: int) -> str | None:
        values = self.now.message.header_values(name)
        return values[index] if -len(values) <= index < len(values) else None

    def gete_idx(self, name: str, index: int) -> str:
        return self.get_idx(name, index) or ""

    def is_present(self, name: str) -> int:
        return code(self.now.message.header(name) is not None)

    def append(self, line: str) -> int:
        self.now.outgoing.headers.append(parse_line(line))
        return YES

    def insert(self, line: str) -> int:
        self.now.outgoing.headers.insert(0, parse_line(line))
        return YES

    def append_after(self, line: str, name: str) -> int:
        headers = self.now.outgoing.headers
        places = [index for index, (key, _) in enumerate(headers) if header_key(key) == header_key(name)]
        headers.insert(places[0] + 1 if places else len(headers), parse_line(line))
        return YES

    def remove(self, name: str) -> int:
        remove(self.now.outgoing, name)
        return YES

    def rmappend(self, name: str, line: str) -> int:
        self.remove(name)
        return self.append(line)

    def rminsert(self, name: str, line: str) -> int:
        self.remove(name)
        return self.insert(line)

    def append_to_reply(self, line: str) -> int:
        parse_line(line)
        self.now.reply_headers.append(line.rstrip())
        return YES


class Textops(Family):
    """The message as text."""

    def remove_hf(self, name: str) -> int:
        remove(self.now.outgoing, name)
        return YES

    def is_present_hf(self, name: str) -> int:
        return code(self.now.message.header(name) is not None)

    def append_hf(self, line: str) -> int:
        self.now.outgoing.headers.append(parse_line(line))
        return YES

    def append_to_reply(self, line: str) -> int:
        parse_line(line)
        self.now.reply_headers.append(line.rstrip())
        return YES

    def has_body(self) -> int:
        return code(bool(self.now.message.body))

    def has_body_type(self, mime: str) -> int:
        found = (self.now.message.header("Content-Type") or "").partition(";")[0].strip().lower()
        return code(bool(self.now.message.body) and found == mime.lower())

    def search(self, expression: str) -> int:
        return code(re.search(expression, str(self.now.message), re.IGNORECASE) is not None)


class Textopsx(Family):
    """Changes made real before the message goes out."""

    def msg_apply_changes(self) -> int:
        if self.now.record_routed:
            return NO
        uri = self.now.message.uri
        self.now.message = copy.deepcopy(self.now.outgoing)
        self.now.message.uri = uri
        self.now.contact_rewritten = False
        return YES

    def remove_body(self) -> int:
        self.now.outgoing.body = ""
        remove(self.now.outgoing, "Content-Type")
        return YES
