"""Passwords that were proved are checked from shared memory (WITH_AUTH_CACHE); the database is asked less, or is away.

What is kept is HA1 (RFC 2617, section 3.2.2.2), with WITH_CLEARTEXT the password, for as long as the table's
``autoexpire`` says. A new password counts at once; the old one, or a user who was removed, is accepted until the entry
expires.
"""

from __future__ import annotations

from kemi import tables
from kemi.outcome import GOOD, Credentials
from kemi.request import Request
from kemi.subscriber import CACHE, cache_key


def check_credentials(request: Request, realm: str, *, clear_text: bool) -> Credentials:
    """As :meth:`Request.check_credentials`; the database is asked only where memory does not say yes."""
    key = cache_key(request.from_user, realm)
    known = tables.text(CACHE, key)
    if known and request.has_password(realm, known, is_clear=clear_text):
        return GOOD
    outcome = request.check_credentials(realm)
    if outcome is GOOD:
        tables.put_text(CACHE, key, request.proved_secret)
    return outcome
