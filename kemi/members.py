"""Who belongs to the cluster, by address."""

from __future__ import annotations

from ipaddress import ip_address

from kemi import hops
from kemi.settings import ClusterSettings
from kemi.settings_file import SettingsError


class Members:
    """The servers of a cluster, asked about the sender of the message at hand.

    ``define`` needs them. Raises SettingsError when edges or registrars are missing, or one is no IP address.
    """

    def __init__(self, settings: ClusterSettings, define: str) -> None:
        self._edges = _addresses("edges", settings.edges, define)
        self._registrars = _addresses("registrars", settings.registrars, define)
        self._all = self._edges | self._registrars

    def sent_it(self) -> bool:
        """Does the message come from within the cluster?"""
        return hops.sender() in self._all

    def edge_sent_it(self) -> bool:
        """Does it come from one of the edges?"""
        return hops.sender() in self._edges

    def registrar_sent_it(self) -> bool:
        """Does it come from one of the registrars?"""
        return hops.sender() in self._registrars


def _addresses(key: str, texts: tuple[str, ...], define: str) -> frozenset[str]:
    if not texts:
        raise SettingsError(
            f"cluster.{key}: {define} is defined: expected the addresses of all {key} of the cluster, found none"
        )
    try:
        return frozenset(str(ip_address(text)) for text in texts)
    except ValueError as problem:
        raise SettingsError(f"cluster.{key}: expected IP addresses, found: {problem}") from None
