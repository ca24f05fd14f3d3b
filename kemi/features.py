"""What ``kamailio.cfg`` has switched on, and whether it loaded the modules for it.

The defines are those of Kamailio's stock configuration. They are read once, when the routes are loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import KSR

from kemi.settings import Settings
from kemi.settings_file import SettingsError

# Sub-modules of KSR, named as the module that exports them but for those in _LOADED_BY.
_ALWAYS = ("corex", "hdr", "kx", "maxfwd", "pv", "registrar", "rr", "sanity", "siputils", "sl", "tm", "tmx")
_LOADED_BY = {"hdr": "pv", "kx": "kemix"}


def switch(define: str, *modules: str) -> Any:
    """A field that is True where ``define`` is; its routes need ``modules`` of Kamailio."""
    return field(default=False, metadata={"define": define, "modules": modules})


@dataclass(frozen=True, slots=True)
class Features:
    """The switches that rules look at, each with its define in kamailio.cfg."""

    auth: bool = switch("WITH_AUTH", "auth", "auth_db")
    auth_cache: bool = switch("WITH_AUTH_CACHE", "htable")
    clear_text: bool = switch("WITH_CLEARTEXT")
    # kamailio.cfg defines it for WITH_DATABASE_MAY_FAIL where the database is MySQL.
    database_may_fail: bool = switch("KEMI_DATABASE_MAY_FAIL")
    ip_auth: bool = switch("WITH_IPAUTH", "permissions")
    nat: bool = switch("WITH_NAT", "nathelper")
    options_keepalive: bool = switch("WITH_NATSIPPING")
    rtpengine: bool = switch("WITH_RTPENGINE", "rtpengine", "textops")
    relay_always: bool = switch("WITH_RTPRELAY")
    antiflood: bool = switch("WITH_ANTIFLOOD", "htable", "pike")
    presence: bool = switch("WITH_PRESENCE", "presence")
    rebuild_message: bool = switch("WITH_MSGREBUILD", "textopsx")
    pstn: bool = switch("WITH_PSTN")
    alias_db: bool = switch("WITH_ALIASDB", "alias_db")
    speed_dial: bool = switch("WITH_SPEEDDIAL", "speeddial")
    voicemail: bool = switch("WITH_VOICEMAIL")
    block_redirects: bool = switch("WITH_BLOCK3XX")
    block_challenges: bool = switch("WITH_BLOCK401407")
    json_rpc: bool = switch("WITH_JSONRPC", "xhttp", "jsonrpcs")
    edge: bool = switch("WITH_EDGE", "path", "dispatcher")
    cluster: bool = switch("WITH_CLUSTER", "dmq")
    # kamailio.cfg defines it where it gives module sqlops a connection to SQLite.
    sqlite: bool = switch("KEMI_SQLCON", "sqlops")
    metrics: bool = switch("WITH_METRICS", "xhttp", "xhttp_prom")
    # kamailio.cfg defines it where it has the table that `kemi status` reads.
    status: bool = switch("KEMI_STATUS")
    # Not switches of the stock file, but what its newer versions do of themselves.
    dialog_statistics: bool = field(default=False, metadata={"since": "6.0, module dlgs"})
    record_route_refer: bool = field(default=False, metadata={"since": "5.8"})


def read(settings: Settings) -> Features:
    """The switches as kamailio.cfg defines them.

    Raises SettingsError when a module is missing for one of them.
    """
    require("these routes", _ALWAYS)
    switched = {}
    for item in fields(Features):
        define = item.metadata.get("define")
        if define and KSR.kx.ifdef(define):
            require(define, item.metadata["modules"])
            switched[item.name] = True
    features = Features(
        **switched,
        dialog_statistics=hasattr(KSR, "dlgs"),
        # 5.8 brought both this function and the change to the stock file.
        record_route_refer=hasattr(KSR.sl, "send_reply_error"),
    )
    if features.nat and not features.rtpengine and not features.cluster:
        require("WITH_NAT", ("rtpproxy",))
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
