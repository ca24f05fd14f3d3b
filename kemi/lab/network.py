"""The laboratory's internet: one bridge, and hosts with documentation addresses (RFC 5737) around it."""

import contextlib
import itertools
from collections.abc import Iterator

from kemi.lab.namespace import Namespace, next_prefix

SERVERS = "192.0.2"
GATEWAYS = "198.51.100"
PUBLIC_PHONES = "203.0.113"
_PUBLIC = tuple(f"{net}.0/24" for net in (SERVERS, GATEWAYS, PUBLIC_PHONES))


class Host:
    """A namespace with an address. `interface` is where it meets the network (``eth0``; ``wan`` of a gateway)."""

    def __init__(self, namespace: Namespace, address: str, interface: str) -> None:
        self.namespace = namespace
        self.address = address
        self.interface = interface

    def __repr__(self) -> str:
        return f"Host({self.namespace.name!r}, {self.address})"


class Internet:
    """The bridge in the middle; makes public hosts and removes all of them at the end.

    Every public address is directly reachable; nothing else is: there is no route to a private address.
    """

    def __init__(self) -> None:
        self.prefix = next_prefix()
        self._namespaces: list[Namespace] = []
        self._ports = itertools.count(1)
        self._next = {net: itertools.count(10) for net in (SERVERS, GATEWAYS, PUBLIC_PHONES)}
        try:
            self._bridge = self.namespace("internet")
            self._bridge.ip("link add br0 type bridge", "link set br0 up")
        except BaseException:
            self.close()
            raise

    def namespace(self, name: str) -> Namespace:
        """A new namespace of this laboratory; removed with it."""
        namespace = Namespace(self.prefix + name)
        self._namespaces.append(namespace)
        namespace.add()
        return namespace

    def address(self, net: str) -> str:
        """The next free address of `SERVERS`, `GATEWAYS` or `PUBLIC_PHONES`."""
        return f"{net}.{next(self._next[net])}"

    def host(self, name: str, net: str, interface: str = "eth0", addresses: int = 1) -> Host:
        """A new public host; with several `addresses` the first is its main one and the others follow it."""
        namespace = self.namespace(name)
        own = [self.address(net) for _ in range(addresses)]
        port = f"port{next(self._ports)}"
        self._bridge.ip(
            f"link add {port} type veth peer name {interface} netns {namespace.name}",
            f"link set {port} master br0 up",
        )
        namespace.ip(
            *(f"addr add {address}/32 dev {interface}" for address in own),
            f"link set {interface} up",
            *(f"route add {net} dev {interface} src {own[0]}" for net in _PUBLIC),
        )
        return Host(namespace, own[0], interface)

    def close(self) -> None:
        """Remove all namespaces, and with them the processes inside."""
        with contextlib.ExitStack() as stack:
            for namespace in self._namespaces:
                stack.callback(namespace.remove)
        self._namespaces.clear()

    def __iter__(self) -> Iterator[Namespace]:
        return iter(self._namespaces)
