"""The answer to a digest challenge (RFC 2617, MD5)."""

from __future__ import annotations

import hashlib
import re
import secrets

from kemi.testing.compose import new_branch, replace, sequence
from kemi.testing.message import Message


def authorize(request: Message, challenge: Message, user: str, password: str) -> Message:
    """The request once more, with the answer to a digest challenge (RFC 2617, MD5), as a new transaction."""
    proxy = challenge.status == 407
    offered = challenge.header("Proxy-Authenticate" if proxy else "WWW-Authenticate") or ""
    values = dict(re.findall(r'(\w+)="([^"]*)"', offered))
    realm, nonce = values["realm"], values["nonce"]
    ha1 = _md5(f"{user}:{realm}:{password}")
    ha2 = _md5(f"{request.method}:{request.uri}")
    digest = f'username="{user}", realm="{realm}", nonce="{nonce}", uri="{request.uri}", algorithm=MD5'
    if "qop" in offered:
        cnonce = secrets.token_hex(4)
        response = _md5(f"{ha1}:{nonce}:00000001:{cnonce}:auth:{ha2}")
        digest += f', qop=auth, nc=00000001, cnonce="{cnonce}"'
    else:
        response = _md5(f"{ha1}:{nonce}:{ha2}")
    via = re.sub(r"branch=[^;]+", f"branch={new_branch()}", request.header("Via") or "")
    again = replace(request, "Via", via)
    again = replace(again, "CSeq", f"{sequence(request) + 1} {request.method}")
    name = "Proxy-Authorization" if proxy else "Authorization"
    return replace(again, name, f'Digest {digest}, response="{response}"')


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
