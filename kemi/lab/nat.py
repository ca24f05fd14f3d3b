"""NAT behaviour in the terms of RFC 4787, and the nftables rules that make a Linux gateway behave so."""

from dataclasses import dataclass
from enum import Enum

MAPPED_PORTS = "20000-29999"
"""Public ports of an endpoint-independent mapping; phones use others, so that no port is ever kept by chance."""


class Mapping(Enum):
    """Which packets of one private address and port leave from the same public port (RFC 4787, section 4.1)."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_AND_PORT_DEPENDENT = "address- and port-dependent"


class Filtering(Enum):
    """Who may send to a public port that is open (RFC 4787, section 5)."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address- and port-dependent"


@dataclass(frozen=True)
class Nat:
    """A kind of NAT: mapping x filtering, and how long an unused hole stays open.

    No kind translates packets between two phones on its own inside (no hairpinning, RFC 4787, section 6).
    """

    name: str
    mapping: Mapping
    filtering: Filtering
    udp_timeout: int = 30
    """Seconds after the last packet until a UDP hole closes; 30 is Linux's default, RFC 4787 asks for 120."""

    def ruleset(self, public_address: str) -> str:
        """The nftables file for a gateway with interfaces ``lan`` and ``wan``.

        What leaves is translated first and written down afterwards, as hole (public port to phone) and as peer
        (whom the phone sent to). What arrives unasked goes to the hole's phone if the filter lets that sender in. With
        address- and port-dependent filtering nothing unasked can pass, and connection tracking alone is that filter.
        """
        if self.mapping is Mapping.ENDPOINT_INDEPENDENT:
            # Linux gives further flows of one source the mapping it has, as long as their port range allows it.
            translate = f"snat ip to {public_address}:{MAPPED_PORTS}"
        else:
            translate = "masquerade fully-random"
        return _RULES.format(
            timeout=f"{self.udp_timeout}s",
            translate=translate,
            admit=_ADMIT[self.filtering],
        )


_ADMIT = {
    Filtering.ENDPOINT_INDEPENDENT: "ct status dnat accept",
    Filtering.ADDRESS_DEPENDENT: "ct status dnat ip daddr . udp dport . ip saddr @peers accept",
    Filtering.ADDRESS_AND_PORT_DEPENDENT: "drop",
}

_RULES = """\
flush ruleset
table ip nat {{
  map holes {{
    type inet_service : ipv4_addr . inet_service
    flags dynamic, timeout
    timeout {timeout}
  }}
  set peers {{
    type ipv4_addr . inet_service . ipv4_addr
    flags dynamic, timeout
    timeout {timeout}
  }}
  chain arriving {{
    type nat hook prerouting priority dstnat
    iifname "wan" meta l4proto udp dnat ip to udp dport map @holes
  }}
  chain leaving {{
    type nat hook postrouting priority srcnat
    oifname "wan" meta l4proto udp {translate}
    oifname "wan" masquerade
  }}
  chain left {{
    type filter hook postrouting priority srcnat + 10
    oifname "wan" meta l4proto udp update @holes {{ udp sport : ct original ip saddr . ct original proto-src }}
  }}
  chain forward {{
    type filter hook forward priority filter
    policy drop
    iifname "lan" oifname "wan" meta l4proto udp update @peers {{ ip saddr . udp sport . ip daddr }}
    iifname "lan" oifname "wan" accept
    iifname "wan" ct state established,related accept
    iifname "wan" meta l4proto udp {admit}
  }}
  chain input {{
    type filter hook input priority filter
    iifname "wan" meta l4proto udp drop
  }}
}}
"""

FULL_CONE = Nat("full cone", Mapping.ENDPOINT_INDEPENDENT, Filtering.ENDPOINT_INDEPENDENT)
"""Routers with a "DMZ host" or gaming mode, and many carrier-grade NATs: anyone may use the hole."""

RESTRICTED = Nat("restricted", Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT)
"""Some home routers and 1:1 NATs of cloud networks: only hosts that were sent to may answer, from any port."""

PORT_RESTRICTED = Nat("port-restricted", Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)
"""The usual home router, Linux's default among them: only the address and port that was sent to may answer."""

SYMMETRIC = Nat("symmetric", Mapping.ADDRESS_AND_PORT_DEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT)
"""Company firewalls and mobile networks: a new public port for every peer, so no address told to one serves another."""

PRESETS = (FULL_CONE, RESTRICTED, PORT_RESTRICTED, SYMMETRIC)
"""The four classic kinds, from the most to the least open."""
