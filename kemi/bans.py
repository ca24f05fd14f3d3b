"""Who guesses passwords is not heard for a while, and nobody else suffers for it.

Failed logins are counted per source address and per user name; above a limit the address, or new addresses for the
user, are banned for a time. A public address may belong to a NAT with an office behind it, so a ban never covers who
has proved a password before: a user who logged in from an address keeps the right to try from there, and an address
with port that logged in as a user keeps the right to be that user.

The state lives in Kamailio's shared memory (module htable, tables of kamailio.cfg), the same for all processes.
"""

from __future__ import annotations

from math import inf
from time import monotonic

from kemi import log, tables
from kemi.flat.seldom import seldom
from kemi.request import Request
from kemi.settings import BanSettings
from kemi.subscriber import LONGEST_NAME

FAILURES = "authfail"  # "ip" or "@user" -> failures in the running window
BANNED = "authban"  # "ip" or "@user" -> 1
# "ip|user", "ip:port|user" and "ip:port" -> when to write the entry anew; the user is as its phone writes it. The time
# is time.monotonic's, a clock that nobody sets: all processes have the same one, it lives as long as shared memory, and
# fits into Kamailio's 32 bits beyond 2038. Another registrar of a cluster has another one: see Bans.is_due.
LOGINS = "authok"


class Bans:
    """Counts failures, bans, and knows who is exempt."""

    def __init__(self, settings: BanSettings) -> None:
        self._settings = settings
        self._enabled = settings.enabled
        # A phone that refreshes every minute is not written every minute. What is not written anew yet has at least
        # `remember` left.
        self._renew_after = settings.remember // 2
        self._keep = settings.remember + self._renew_after

    def renewal(self, request: Request) -> float | None:
        """When a login of this user from this address and port is to be noted anew (``time.monotonic``).

        None if there was none lately. If there was one, no ban concerns this request, be it of the user or of the
        address: what is noted of a login is always noted together.
        """
        if not self._enabled:
            return inf
        renewal = request.noted_login
        return renewal if isinstance(renewal, int) else None

    def is_due(self, renewal: float | None) -> bool:
        """Is the login to be noted (anew), now that it has succeeded? ``renewal`` is what :meth:`renewal` gave.

        Also if the time is none that our clock can have given: then another registrar of the cluster has noted it.
        """
        return self._enabled and (renewal is None or not 0 < renewal - monotonic() <= self._renew_after)

    @seldom
    def refuses(self, request: Request) -> str:
        """Why this request may not even try to log in, where :meth:`renewal` knows nothing of it; "" if it may."""
        if not self._enabled:
            return ""
        address = request.source_ip
        if tables.holds(BANNED, address) and not tables.holds(LOGINS, f"{address}|{request.from_user}"):
            return "address is banned"
        return "user is banned" if tables.holds(BANNED, f"@{_user(request)}") else ""

    @seldom
    def count_failure(self, request: Request) -> None:
        """A wrong password or an unknown user: one more for the address and for the user."""
        if not self._enabled:
            return
        self._count(request.source_ip, self._settings.failures_per_source, request)
        self._count(f"@{_user(request)}", self._settings.failures_per_user, request)

    @seldom
    def note_login(self, request: Request) -> None:
        """The password was right: exempt who proved it."""
        if not self._enabled:
            return
        source, user = request.source, request.from_user
        renewal = int(monotonic()) + self._renew_after
        for key in (f"{request.source_ip}|{user}", f"{source}|{user}", source):
            tables.put(LOGINS, key, self._keep, renewal)

    def note_endpoint(self, source: str) -> None:
        """Somebody has logged in from this address and port, at a registrar behind us."""
        if self._enabled:
            tables.put(LOGINS, source, self._settings.remember)

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
    """Whose password this request may be guessing: Kamailio demands that the digest is of the user in From.

    Not the digest's user name: a request may hold several digests, and only one is checked. Databases compare names
    without regard to case (MySQL), and so do bans. The table subscriber has room for 64 characters: a longer name is
    nobody's, and shall not fill shared memory.
    """
    return request.from_user.lower()[:LONGEST_NAME]
