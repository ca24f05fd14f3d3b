"""Values that kamailio.cfg declares for the routes, such as ``pstn.gw_ip``.

They can be changed while the server runs (RPC ``cfg.set_now_string pstn gw_ip 203.0.113.5``), so they are read anew for
each request that needs them.
"""

from __future__ import annotations

import KSR


def pstn_gateway() -> str:
    """``host`` or ``host:port`` of the PSTN gateway; "" if none is configured."""
    return _host_port("$sel(cfg_get.pstn.gw_ip)", "$sel(cfg_get.pstn.gw_port)")


def voicemail_server() -> str:
    """``host:port`` of the voicemail server; "" if none is configured."""
    return _host_port("$sel(cfg_get.voicemail.srv_ip)", "$sel(cfg_get.voicemail.srv_port)")


def _host_port(host_name: str, port_name: str) -> str:
    host, port = KSR.pv.gete(host_name), KSR.pv.gete(port_name)
    return f"{host}:{port}" if host and port else str(host)
