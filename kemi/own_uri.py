"""Is a URI one of ours? As ``uri==myself`` of the configuration language says.

``KSR.is_myself_ruri()`` and its sisters differ: to them a URI without port has any port, ``SIP:`` in capitals is no
scheme, and ``;transport=`` matters. So the host and the port are taken out here, and only these are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import KSR

from kemi.message import tolerant

_HOST_AND_PORT = re.compile(
    r"sips?:(?:[^@]*@)?(\[[^]]*\]|[^:;?@]+)(?::(\d+))?(?:[;?].*)?", re.IGNORECASE | re.DOTALL
)


def is_request_uri_own() -> bool:
    """Is the request-URI, as it stands now, one of our addresses or domains, at one of our ports?"""
    host = tolerant(KSR.kx.gete_rhost, "rd")
    port = KSR.pv.get("$rp")
    if port == "5060" and KSR.pv.get("$rP") == "TLS":
        # $rp gives 5060 for a URI without port, whatever its transport.
        return _is_text_own(KSR.kx.get_ruri, host)
    return bool(host) and _is_own(host, port, tls=False)


def is_from_uri_own() -> bool:
    """The same for the From URI."""
    host = tolerant(KSR.kx.gete_fhost, "fd")
    return _is_text_own(KSR.kx.get_furi, host)


def _is_text_own(read: Callable[[], object], host: str) -> bool:
    """From a URI's text; from its host alone if there are bytes in the text that are not UTF-8."""
    try:
        uri = str(read() or "")
    except UnicodeDecodeError:
        return _is_own(host, None, tls=False)
    found = _HOST_AND_PORT.fullmatch(uri)
    return found is not None and _is_own(found[1], found[2], tls=";transport=tls" in uri.lower())


def _is_own(host: str, port: str | int | None, tls: bool) -> bool:
    return KSR.is_myself(f"sip:{host}:{port or (5061 if tls else 5060)}")
