"""A home router with a NAT of the laboratory's kinds, between a phone and the network of the servers.

The servers say of themselves the address of the machine that publishes their ports (ADVERTISED_ADDRESS). From inside
these networks nothing leads there and back, so packets to it are sent to the servers' containers here, as the machine
itself does for everybody else.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import privileges

from kemi.lab.nat import PRESETS

READY = Path("/tmp/ready")

_TO_SERVERS = """\
table ip published {{
  chain arriving {{
    type nat hook prerouting priority dstnat - 10
    iifname "lan" ip daddr {advertised} udp dport {sip_port} dnat to {kamailio}:5060
    iifname "lan" ip daddr {advertised} tcp dport {sip_port} dnat to {kamailio}:5060
    iifname "lan" ip daddr {advertised} tcp dport {tls_port} dnat to {kamailio}:5061
    iifname "lan" ip daddr {advertised} udp dport {media_ports} dnat to {relay}
  }}
}}
"""


def rename(address: str, name: str) -> None:
    """Call the interface with that address `name`, as the rules of the NAT do."""
    # A line of `ip -o`: "7: eth0    inet 192.0.2.1/24 ..."
    listed = privileges.run("ip", "-o", "-4", "address", "show", "to", f"{address}/32")
    if not listed:
        raise RuntimeError(f"no interface has the address {address}")
    interface = listed.split()[1]
    if interface != name:
        privileges.run("ip", "link", "set", interface, "down")
        privileges.run("ip", "link", "set", interface, "name", name)
        privileges.run("ip", "link", "set", name, "up")


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    kinds = {nat.name: nat for nat in PRESETS}
    nat = kinds.get(os.environ["NAT"])
    if nat is None:
        sys.exit(f"NAT: expected one of {', '.join(kinds)}, found '{os.environ['NAT']}'")
    rename(os.environ["INSIDE"], "lan")
    rename(os.environ["OUTSIDE"], "wan")
    servers = _TO_SERVERS.format(
        advertised=os.environ["ADVERTISED_ADDRESS"],
        sip_port=os.environ["SIP_PORT"],
        tls_port=os.environ["TLS_PORT"],
        media_ports=os.environ["MEDIA_PORTS"],
        kamailio=os.environ["KAMAILIO"],
        relay=os.environ["RELAY"],
    )
    privileges.run("nft", "-f", "-", text=nat.ruleset(os.environ["OUTSIDE"]) + servers)
    privileges.drop()
    READY.touch()
    sys.stdout.write(f"{nat.name} NAT between {os.environ['INSIDE']} and {os.environ['OUTSIDE']}\n")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
