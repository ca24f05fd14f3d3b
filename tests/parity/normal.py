"""What is random in an answer is replaced by a number, in order of appearance; nothing else changes.

So two messages that must share a branch, a tag or a port still must. A value that an agent of the case wrote itself is
not random, and stays.
"""

from __future__ import annotations

import re
from functools import partial

from tests.parity.network import RELAY_PORTS

_TAG = re.compile(r"(?<=tag=)[^;,\s>]+")
_BRANCH = re.compile(r"(?<=branch=)(z9hG4bK[^;,\s>]*?)(\.\d+)?(?=[;,\s>]|$)")
_CALL_ID = re.compile(r"(?m)(?<=^Call-ID: ).+")
_ETAG = re.compile(r"(?m)(?<=^SIP-ETag: ).+")
# Nonces have a second in them, so whether two are the same depends on the moment.
_NONCE = re.compile(r'(?<=nonce=")[^"]+(?=")')
_RESPONSE = re.compile(r'(?<=response=")[0-9a-f]{32}(?=")')
_MEDIA_PORT = re.compile(r"(?m)(?<=^m=)(\w+) (\d+)|(?<=^a=rtcp:)()(\d+)")
# What rtpengine makes up for DTLS and ICE.
_SECRETS = {
    "key": re.compile(r"(?m)(?<= inline:)\S+"),
    "fingerprint": re.compile(r"(?m)(?<=^a=fingerprint:sha-256 ).+"),
    "fragment": re.compile(r"(?m)(?<=^a=ice-ufrag:).+"),
    "password": re.compile(r"(?m)(?<=^a=ice-pwd:).+"),
    "candidate": re.compile(r"(?m)(?<=^a=candidate:)\S+"),
    "address": re.compile(r"(?m)(?<=192\.0\.2\.10 )\d{5}(?= typ )"),
}
# Seconds that are left of a registration; agents ask for tens.
_EXPIRES = re.compile(r"(?<=;expires=)\d+")


class Normaliser:
    """Keeps the numbers given within one case of one server."""

    def __init__(self) -> None:
        self._sent: list[str] = []
        self._numbers: dict[tuple[str, str], str] = {}

    def note_sent(self, text: str) -> None:
        """An agent sent this, as far as it was written in the case and is the same for every server."""
        self._sent.append(text)

    def __call__(self, text: str) -> str:
        text = _TAG.sub(lambda found: self._number("tag", found[0]), text)
        text = _BRANCH.sub(lambda found: self._number("branch", found[1]) + (found[2] or ""), text)
        text = _CALL_ID.sub(lambda found: self._number("Call-ID", found[0]), text)
        text = _ETAG.sub(lambda found: self._number("ETag", found[0], always=True), text)
        text = _NONCE.sub("<nonce>", text)
        text = _RESPONSE.sub("<response>", text)
        text = _EXPIRES.sub(lambda found: str(-(-int(found[0]) // 10) * 10), text)
        for kind, secret in _SECRETS.items():
            text = secret.sub(partial(self._secret, kind), text)
        return _MEDIA_PORT.sub(self._media_port, text)

    def _secret(self, kind: str, found: re.Match[str]) -> str:
        return self._number(kind, found[0])

    def _media_port(self, found: re.Match[str]) -> str:
        kind, port = (found[1], found[2]) if found[2] else ("", found[4])
        if int(port) in RELAY_PORTS:
            # RTCP has the port after RTP's.
            even = int(port) & ~1
            port = self._number("port", str(even), always=True) + ("+1" if int(port) & 1 else "")
        return f"{kind} {port}" if kind else port

    def _number(self, kind: str, value: str, *, always: bool = False) -> str:
        key = (kind, value)
        if key not in self._numbers:
            known = not always and any(value in sent for sent in self._sent)
            count = 1 + sum(1 for given in self._numbers.values() if given.startswith(f"<{kind} "))
            self._numbers[key] = value if known else f"<{kind} {count}>"
        return self._numbers[key]
