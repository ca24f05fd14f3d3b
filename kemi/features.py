"""What ``kamailio.cfg`` has switched on, and whether it loaded the modules for it.

The defines are those of Kamailio's stock configuration. They are read once, when the routes are loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import KSR

from kemi.settings import Settings
from kemi.settings_file import SettingsError

# Sub-modules of KSR, named as the module that exports them but for those in _LOADED_BY.
_ALWAYS = ("corex", "hdr", "kx", "maxfwd", "pv", "registrar", "rr", "sanity", "siputils", "sl", "tm", "tmx")
_NEEDS = {
    "WITH_AUTH": ("auth", "auth_db"),
    "WITH_NAT": ("nathelper", "rtpproxy"),
    "WITH_ANTIFLOOD": ("htable", "pike"),
}
_LOADED_BY = {"hdr": "pv", "kx": "kemix"}

# Defines of the stock configuration whose routes are not here. Better no start than a call that goes elsewhere.
_NOT_SUPPORTED = (
    "WITH_IPAUTH",
    "WITH_PRESENCE",
    "WITH_RTPENGINE",
    "WITH_RTPRELAY",
    "WITH_PSTN",
    "WITH_ALIASDB",
    "WITH_SPEEDDIAL",
    "WITH_MULTIDOMAIN",
    "WITH_TLS",
    "WITH_JSONRPC",
    "WITH_BLOCK3XX",
    "WITH_BLOCK401407",
    "WITH_VOICEMAIL",
    "WITH_ACCDB",
)


@dataclass(frozen=True, slots=True)
class Features:
    """The switches that rules look at."""

    auth: bool = False
    nat: bool = False
    antiflood: bool = False
    options_keepalive: bool = False
    sqlite: bool = False


def read(settings: Settings) -> Features:
    """The switches as kamailio.cfg defines them.

    Raises SettingsError when a module is missing for one of them, or when one is not supported.
    """
    require("these routes", _ALWAYS)
    for define in _NOT_SUPPORTED:
        if KSR.kx.ifdef(define):
            raise SettingsError(
                f"kamailio.cfg: {define}: expected a feature that these routes have, found one that they lack; "
                "remove the define"
            )
    for define, modules in _NEEDS.items():
        if KSR.kx.ifdef(define):
            require(define, modules)
    features = Features(
        auth=KSR.kx.ifdef("WITH_AUTH"),
        nat=KSR.kx.ifdef("WITH_NAT"),
        antiflood=KSR.kx.ifdef("WITH_ANTIFLOOD"),
        options_keepalive=KSR.kx.ifdef("WITH_NATSIPPING"),
        # kamailio.cfg defines it where it gives module sqlops a connection to SQLite.
        sqlite=KSR.kx.ifdef("KEMI_SQLCON"),
    )
    if features.auth and settings.auth.ban.enabled:
        require("auth.ban (set both limits to 0 to do without)", ("htable",))
    return features


def require(what: str, modules: tuple[str, ...]) -> None:
    """Raise SettingsError unless Kamailio has loaded all of ``modules`` (names below ``KSR``)."""
    for module in modules:
        if not hasattr(KSR, module):
            name = _LOADED_BY.get(module, module)
            raise SettingsError(
                f"kamailio.cfg: {what}: expected module '{name}' to be loaded, found that it is not; "
                f'add: loadmodule "{name}.so"'
            )


def settings_path() -> Path | None:
    """The file named by ``-A 'KEMI_SETTINGS="/path/kemi.yaml"'``, None without that define."""
    value = KSR.kx.get_def("KEMI_SETTINGS") if hasattr(KSR, "kx") else None
    # The define is a quoted string in kamailio.cfg's grammar; the quotes are part of its value.
    text = str(value or "").strip().strip('"')
    return Path(text).absolute() if text else None
