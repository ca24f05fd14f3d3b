"""A user in the table subscriber, as the routes and `kemi user` see it. Needs no Kamailio."""

from __future__ import annotations

#: Characters of a name that the table has room for: a longer one is nobody's.
LONGEST_NAME = 64
#: The table of module htable with passwords that were proved (WITH_AUTH_CACHE).
CACHE = "authcache"


def cache_key(user: str, realm: str) -> str:
    """Where the password of a user is in that table."""
    return f"{user[:LONGEST_NAME]}@{realm}"
