"""Digest credentials as a phone computes them (RFC 2617, section 3.2.2), many per second."""

from __future__ import annotations

import hashlib
import re

from bench.messages import DOMAIN, header

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_CNONCE = "bench"


def password(user: str) -> str:
    """The password of a user of the benchmark's database."""
    return f"secret-{user}"


class Credentials:
    """Answers one challenge (401) for any user: the nonce is not bound to one."""

    def __init__(self, challenge: bytes, method: str, uri: str) -> None:
        parameters = dict(_PARAMETER.findall(header(challenge, b"WWW-Authenticate").decode()))
        if "nonce" not in parameters:
            raise ValueError(f"expected a challenge with a nonce, found {challenge!r}")
        self._nonce = parameters["nonce"]
        self._uri = uri
        self._with_qop = "qop" in parameters
        counted = f"{self._nonce}:00000001:{_CNONCE}:auth" if self._with_qop else self._nonce
        self._end = f"{counted}:{_md5(f'{method}:{uri}')}"
        self._secrets: dict[str, str] = {}

    def line(self, user: str) -> str:
        """The Authorization header of a user."""
        secret = self._secrets.get(user)
        if secret is None:
            secret = self._secrets[user] = _md5(f"{user}:{DOMAIN}:{password(user)}")
        qop = f', qop=auth, nc=00000001, cnonce="{_CNONCE}"' if self._with_qop else ""
        return (
            f'Authorization: Digest username="{user}", realm="{DOMAIN}", nonce="{self._nonce}", '
            f'uri="{self._uri}", response="{_md5(f"{secret}:{self._end}")}", algorithm=MD5{qop}\r\n'
        )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
