"""The modules that a fake Kamailio has loaded, and so the functions that it has, unless a test says otherwise."""

from __future__ import annotations

from kemi.stubs.exports import versions

#: What the library's own kamailio.cfg loads, with everything switched on, as far as it exports functions.
_MODULES = """
acc alias_db app_python3 auth auth_db corex counters debugger dispatcher dmq domain htable jsonrpcs kemix kex
maxfwd nathelper path permissions pike presence presence_xml pv registrar rr rtpengine rtpproxy sanity
siputils sl speeddial sqlops textops textopsx tls tm tmx xhttp xhttp_prom xlog
"""
MODULES = frozenset(_MODULES.split())
#: What it loads besides from a version on.
_MODULES_SINCE = {"dlgs": "6.0"}


def modules_of(version: str) -> frozenset[str]:
    """What the library's kamailio.cfg loads on that Kamailio, with everything switched on."""
    known = versions()
    newer = {name for name, since in _MODULES_SINCE.items() if known.index(version) >= known.index(since)}
    return MODULES | newer
