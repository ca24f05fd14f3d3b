"""A router between a private network and the internet, with a NAT."""

import itertools

from kemi.lab.nat import Nat
from kemi.lab.network import GATEWAYS, Host, Internet

_OWN_LAST_BYTE = 1


class Gateway:
    """A router that does what its `nat` says; any number of hosts live behind it."""

    def __init__(self, name: str, nat: Nat, internet: Internet, network: str) -> None:
        """`network` is the private network's first three bytes, ``192.168.7``."""
        self.name = name
        self.nat = nat
        """What this gateway claims to be; `Lab.prove` asks whether that is true."""
        self._internet = internet
        self._network = network
        self._next = itertools.count(_OWN_LAST_BYTE + 1)
        self._ports = itertools.count(1)
        self.outside = internet.host(name, GATEWAYS, interface="wan")
        namespace = self.outside.namespace
        namespace.ip(
            "link add lan type bridge", f"addr add {network}.{_OWN_LAST_BYTE}/24 dev lan", "link set lan up"
        )
        self.behave(nat)
        namespace.sysctl("net.ipv4.ip_forward", 1)

    @property
    def public_address(self) -> str:
        return self.outside.address

    def behave(self, nat: Nat) -> None:
        """Load the rules of `nat`, whatever this gateway claims to be. Flows that are known already go on."""
        namespace = self.outside.namespace
        namespace.nft(nat.ruleset(self.public_address))
        namespace.sysctl("net.netfilter.nf_conntrack_udp_timeout", nat.udp_timeout)
        namespace.sysctl("net.netfilter.nf_conntrack_udp_timeout_stream", nat.udp_timeout)

    def host(self, name: str) -> Host:
        """A new host behind this gateway."""
        namespace = self._internet.namespace(name)
        address = f"{self._network}.{next(self._next)}"
        port = f"port{next(self._ports)}"
        self.outside.namespace.ip(
            f"link add {port} type veth peer name eth0 netns {namespace.name}",
            f"link set {port} master lan up",
        )
        namespace.ip(
            f"addr add {address}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {self._network}.{_OWN_LAST_BYTE}",
        )
        return Host(namespace, address, "eth0")
