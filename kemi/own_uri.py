"""Is a URI one of ours? As ``uri==myself`` of the configuration language says.

``KSR.is_myself_ruri()`` and its sisters differ: to them a URI without port has any port, ``SIP:`` in capitals is no
scheme, and ``;transport=`` matters. So the host and the port are taken out here, and only these are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import KSR

from kemi.flat.seldom import seldom
from kemi.message import tolerant

_HOST_AND_PORT = re.compile(
    r"sips?:(?:[^@]*@)?(\[[^]]*\]|[^:;?@]+)(?::(\d+))?(?:[;?].*)?", re.IGNORECASE | re.DOTALL
)
_PLAIN_PLACE = re.compile(r"(?:sip:)?[A-Za-z0-9.-]+(?::[0-9]+)?")

# Strangers may ask for any number of them.
_MOST_PLACES = 500


class Places:
    """What Kamailio has said about URIs. It will say the same again, but for domains in a database.

    By URI, of those without user; of others, what follows the user is kept apart.
    """

    __slots__ = ("_after_user", "_may_change", "known", "latest")

    def __init__(self) -> None:
        self.known: dict[str, bool] = {}
        #: One that is ours, mostly the one that is asked for next: to compare takes less than to look up.
        self.latest: str | None = None
        self._after_user: dict[str, bool] = {}
        self._may_change = hasattr(KSR, "domain")

    @seldom
    def find(self, uri: str, ask: Callable[[str], bool]) -> bool:
        """The answer of ``ask``, now or earlier."""
        user, at, place = uri.rpartition("@")
        known = self.known
        if at:
            if user[:4] != "sip:" or not user[4:].isalnum():
                # A parser may take another @, or none.
                return ask(uri)
            known = self._after_user
        answer = known.get(place)
        if answer is None:
            answer = ask(uri)
            # Other URIs at this place may have other answers, unless it is a plain one.
            if not self._may_change and _PLAIN_PLACE.fullmatch(place):
                if len(known) >= _MOST_PLACES:
                    known.clear()
                known[place] = answer
        return answer


@seldom
def is_request_uri_own(_uri: str = "") -> bool:
    """Is the request-URI, as it stands now, one of our addresses or domains, at one of our ports?"""
    host = tolerant(KSR.kx.gete_rhost, "rd")
    port = KSR.pv.get("$rp")
    if port == "5060" and KSR.pv.get("$rP") == "TLS":
        # $rp gives 5060 for a URI without port, whatever its transport.
        try:
            return is_text_own(str(KSR.kx.get_ruri() or ""))
        except UnicodeDecodeError:
            return _is_own(host, None, tls=False)
    return bool(host) and _is_own(host, port, tls=False)


@seldom
def is_from_host_own() -> bool:
    """The same for the From URI, by its host alone: for a URI with bytes in it that are not UTF-8."""
    return _is_own(tolerant(KSR.kx.gete_fhost, "fd"), None, tls=False)


@seldom
def is_text_own(uri: str) -> bool:
    """The same for any URI."""
    found = _HOST_AND_PORT.fullmatch(uri)
    return found is not None and _is_own(found[1], found[2], tls=";transport=tls" in uri.lower())


def _is_own(host: str, port: str | int | None, tls: bool) -> bool:
    return KSR.is_myself(f"sip:{host}:{port or (5061 if tls else 5060)}")
