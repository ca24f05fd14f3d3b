"""Answers to a digest challenge (RFC 3261, section 22; RFC 2617 without qop, as Kamailio challenges by default)."""

from __future__ import annotations

import hashlib
import re

from kemi.testing.message import Message

_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


def challenge(reply: Message) -> dict[str, str]:
    """The parameters of WWW-Authenticate or Proxy-Authenticate; ValueError if the reply has neither."""
    header = reply.header("WWW-Authenticate") or reply.header("Proxy-Authenticate")
    if not header:
        raise ValueError(
            f"expected a challenge in the reply, found {reply.status} {reply.reason} without one"
        )
    return {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(header)}


def credentials(reply: Message, *, user: str, password: str, uri: str) -> tuple[str, str]:
    """The header that answers the challenge in ``reply``: its name, by the reply's status, and its value.

    ``uri`` is the request-URI of the request that will carry it.
    """
    asked = challenge(reply)
    ha1 = md5(f"{user}:{asked['realm']}:{password}")
    ha2 = md5(f"{reply.method}:{uri}")
    response = md5(f"{ha1}:{asked['nonce']}:{ha2}")
    name = "Authorization" if reply.status == 401 else "Proxy-Authorization"
    return name, (
        f'Digest username="{user}", realm="{asked["realm"]}", nonce="{asked["nonce"]}", '
        f'uri="{uri}", response="{response}", algorithm=MD5'
    )


def md5(text: str) -> str:
    """The hash of digest authentication, as it stands in the header."""
    return hashlib.md5(text.encode()).hexdigest()
