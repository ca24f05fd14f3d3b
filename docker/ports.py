"""Ports of this machine that the stack opens, and who has them now."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import engine
from engine import StackError


class Wanted(NamedTuple):
    """The ports that one line of `.env` names: of which service, where in its container."""

    line: str
    service: str
    transports: tuple[str, ...]
    inside: int | None = None  # the same as outside

    def ports(self, value: str) -> range:
        low, _, high = value.partition("-")
        return range(int(low), int(high or low) + 1)


_SINGLE = (
    Wanted("SIP_PORT", "kamailio", ("udp", "tcp"), 5060),
    Wanted("TLS_PORT", "kamailio", ("tcp",), 5061),
)
_CLUSTER = (
    Wanted("SIP_PORT", "edge-1", ("udp", "tcp"), 5060),
    Wanted("TLS_PORT", "edge-1", ("tcp",), 5061),
    Wanted("SIP_PORT_2", "edge-2", ("udp", "tcp"), 5060),
    Wanted("TLS_PORT_2", "edge-2", ("tcp",), 5061),
    Wanted("MEDIA_PORTS_2", "rtpproxy-2", ("udp",)),
)
_MEDIA = (Wanted("MEDIA_PORTS", "rtpproxy", ("udp",)),)
_MONITOR = (
    Wanted("PROMETHEUS_PORT", "prometheus", ("tcp",), 9090),
    Wanted("GRAFANA_PORT", "grafana", ("tcp",), 3000),
)


def wanted(profiles: Collection[str]) -> Iterable[Wanted]:
    """What the stack opens with these profiles."""
    server = _CLUSTER if "cluster" in profiles else _SINGLE
    return (*server, *_MEDIA, *(_MONITOR if "monitor" in profiles else ()))


def in_use(values: Mapping[str, str], profiles: Collection[str]) -> Iterator[str]:
    """A line for each setting with a port that another program has. Raises StackError where the cluster has them."""
    if "cluster" not in profiles and engine.published("edge-1", 5060, "udp"):
        raise StackError(
            "the cluster is running and has the ports; `make down` first, "
            'or start this beside it: make up PROFILE="cluster ..."'
        )
    for one in wanted(profiles):
        value = values[one.line]
        monitor = one.service in ("prometheus", "grafana")
        address = values["MONITOR_ADDRESS" if monitor else "PUBLISH_ADDRESS"]
        for transport in one.transports:
            taken = [port for port in one.ports(value) if not _is_free(transport, address, port)]
            if taken and not _is_ours(one, value, transport):
                option = "-lntp" if transport == "tcp" else "-lnup"
                yield (
                    f"{one.line}={value}: {transport} port {taken[0]} is in use on this machine; stop what uses it "
                    f"(see `ss {option}`) or set another {one.line}"
                )
                break


def _is_ours(one: Wanted, value: str, transport: str) -> bool:
    first = one.ports(value)[0]
    # The single server's ports become the first edge's.
    services = (one.service, "kamailio") if one.service == "edge-1" else (one.service,)
    return first in [engine.published(service, one.inside or first, transport) for service in services]


def _is_free(transport: str, address: str, port: int) -> bool:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if transport == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            # A port below 1024 is for root to try, an address that is not here for Docker to complain about.
            return error.errno != errno.EADDRINUSE
    return True
