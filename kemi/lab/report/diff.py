"""What changed between the message Kamailio received and the one it sent, and what for.

Lines are paired by header name (or by kind of SDP line), counted from the bottom, because proxies add and
remove Via, Record-Route and Route at the top (RFC 3261, section 16.6). Inside a pair, words are compared.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from kemi.lab.report.explain import explain
from kemi.lab.report.message import Message

SAME, ADDED, REMOVED, STALE = "same", "added", "removed", "stale"

_WORD = re.compile(r"[\w.~%+-]+|\s+|.")


@dataclass(frozen=True)
class Span:
    """A piece of a line."""

    kind: str
    """``same``, ``added``, ``removed``, or ``stale``: an address that is of no use outside the NAT."""
    text: str


@dataclass(frozen=True)
class Line:
    """A line of a message, with what changed in it."""

    spans: tuple[Span, ...]
    label: str = ""
    """Name of the change for a badge: ``alias``, ``SDP address`` ..."""
    why: str = ""
    """What the change is for."""

    @property
    def changed(self) -> bool:
        """True when a span was added or removed."""
        return any(span.kind in (ADDED, REMOVED) for span in self.spans)

    @property
    def kind(self) -> str:
        """``added`` or ``removed`` for a whole line, ``changed`` for a part of one, else ``same``."""
        kinds = {span.kind for span in self.spans}
        if len(kinds) == 1 and kinds & {ADDED, REMOVED}:
            return kinds.pop()
        return "changed" if self.changed else SAME


def compare(received: Message, sent: Message) -> tuple[Line, ...]:
    """The message that was sent, line by line, with what Kamailio added and removed."""
    return _compare(_keyed(received), _keyed(sent))


def answer(request: Message, reply: Message) -> tuple[Line, ...]:
    """A reply of Kamailio's own: what it put into the Via and the Contact that the request brought."""
    echoed = ("Via",), ("Contact",)
    brought = [(key, text) for key, text in _keyed(request) if key in echoed]
    replied = _keyed(reply)
    lines = iter(
        line
        for line in _compare(brought, [(key, text) for key, text in replied if key in echoed])
        if line.kind != REMOVED
    )
    return tuple(next(lines) if key in echoed else _plain(text) for key, text in replied)


def unchanged(message: Message, private: str = "") -> tuple[Line, ...]:
    """A message as it is; where it names the `private` address, the span is ``stale``."""
    return tuple(_marked(line, private) for line in message.lines)


def _marked(text: str, private: str) -> Line:
    if not private:
        return _plain(text)
    parts = re.split(rf"((?<![\d.]){re.escape(private)}(?::\d+)?(?![\d.]*\d))", text)
    return Line(tuple(Span(STALE if part.startswith(private) else SAME, part) for part in parts if part))


def _plain(text: str) -> Line:
    return Line((Span(SAME, text),))


Key = tuple[str, ...]


def _keyed(message: Message) -> list[tuple[Key, str]]:
    """Each line with the kind of line it is."""
    keyed: list[tuple[Key, str]] = [(("first line",), message.first_line)]
    keyed += [((header.name,), str(header)) for header in message.headers]
    keyed.append((("gap",), ""))
    media = 0
    for line in message.body_lines:
        media += line.startswith("m=")
        name = re.split(r"[:\s]", line, maxsplit=1)[0] if line.startswith("a=") else line[:2]
        keyed.append((("sdp", str(media), name), line))
    return keyed


def _compare(before: Sequence[tuple[Key, str]], after: Sequence[tuple[Key, str]]) -> tuple[Line, ...]:
    older: dict[Key, list[int]] = defaultdict(list)
    for index, (key, _) in enumerate(before):
        older[key].append(index)
    partner: dict[int, int] = {}
    for index, (key, _) in reversed(list(enumerate(after))):
        if older[key]:
            partner[index] = older[key].pop()
    removed = sorted(index for left in older.values() for index in left)
    lines = []
    for index, (key, text) in enumerate(after):
        other = partner.get(index)
        while removed and other is not None and removed[0] < other:
            lines.append(_line(before[removed[0]][0], [Span(REMOVED, before[removed.pop(0)][1])]))
        if other is None:
            lines.append(_line(key, [Span(ADDED, text)]))
        else:
            lines.append(_line(key, _spans(before[other][1], text)))
    lines += [_line(before[index][0], [Span(REMOVED, before[index][1])]) for index in removed]
    return tuple(lines)


def _line(key: Key, spans: Iterable[Span]) -> Line:
    line = Line(tuple(spans))
    if not line.changed:
        return line
    added = "".join(span.text for span in line.spans if span.kind == ADDED)
    removed = "".join(span.text for span in line.spans if span.kind == REMOVED)
    label, why = explain(key[-1], line.kind, added, removed)
    return Line(line.spans, label, why)


def _spans(before: str, after: str) -> list[Span]:
    old, new = _WORD.findall(before), _WORD.findall(after)
    spans = []
    for operation, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if operation == "equal":
            spans.append(Span(SAME, "".join(old[i1:i2])))
            continue
        if i1 < i2:
            spans.append(Span(REMOVED, "".join(old[i1:i2])))
        if j1 < j2:
            spans.append(Span(ADDED, "".join(new[j1:j2])))
    return spans or [Span(SAME, after)]
