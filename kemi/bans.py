"""Who guesses passwords is not heard for a while, and nobody else suffers for it.

Failed logins are counted per source address and per user name; above a limit the address, or new addresses for the
user, are banned for a time. A public address may belong to a NAT with an office behind it, so a ban never covers who
has proved a password before: a user who logged in from an address keeps the right to try from there, and an address
with port that logged in as a user keeps the right to be that user.

The state lives in Kamailio's shared memory (module htable, tables of kamailio.cfg), the same for all processes.
"""

from __future__ import annotations

from kemi import log, tables
from kemi.request import Request
from kemi.settings import BanSettings

FAILURES = "authfail"  # "ip" or "@user" -> failures in the running window
BANNED = "authban"  # "ip" or "@user" -> 1
LOGINS = "authok"  # "ip|user", "ip:port|user" and "ip:port" -> 1

LONGEST_NAME = 64


class Bans:
    """Counts failures, bans, and knows who is exempt."""

    def __init__(self, settings: BanSettings) -> None:
        self._settings = settings

    def knows_endpoint(self, request: Request) -> bool:
        """Has anyone logged in from this very address and port?"""
        return self._settings.enabled and tables.holds(LOGINS, request.source)

    def refuses(self, request: Request) -> str:
        """Why this request may not even try to log in; "" if it may."""
        if not self._settings.enabled:
            return ""
        address = request.source_ip
        user = _user(request)
        if tables.holds(BANNED, address) and not tables.holds(LOGINS, f"{address}|{user}"):
            return "address is banned"
        if tables.holds(BANNED, f"@{user}") and not tables.holds(LOGINS, f"{request.source}|{user}"):
            return "user is banned"
        return ""

    def count_failure(self, request: Request) -> None:
        """A wrong password or an unknown user: one more for the address and for the user."""
        if not self._settings.enabled:
            return
        self._count(request.source_ip, self._settings.failures_per_source, request)
        self._count(f"@{_user(request)}", self._settings.failures_per_user, request)

    def note_login(self, request: Request) -> None:
        """The password was right: exempt who proved it."""
        if not self._settings.enabled:
            return
        user = _user(request)
        for key in (f"{request.source_ip}|{user}", f"{request.source}|{user}", request.source):
            tables.put(LOGINS, key, self._settings.remember)

    def _count(self, key: str, limit: int, request: Request) -> None:
        if not limit:
            return
        failures = tables.count(FAILURES, key, self._settings.window)
        if failures >= limit:
            tables.put(BANNED, key, self._settings.duration)
            tables.remove(FAILURES, key)
            log.warning(
                f"banned {key} for {self._settings.duration} s after {failures} failed logins, "
                f"the last from {request.source} as {_user(request)}"
            )


def _user(request: Request) -> str:
    """Who this request logs in as if its password is right: Kamailio demands that the digest is of the user in From.

    Not the digest's user name: a request may hold several digests, and only one is checked. Databases compare names
    without regard to case (MySQL), and so do bans. The table subscriber has room for 64 characters: a longer name is
    nobody's, and shall not fill shared memory.
    """
    return request.from_user.lower()[:LONGEST_NAME]
