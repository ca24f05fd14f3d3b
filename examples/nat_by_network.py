"""Look for NATs by network: strictly among customers, not at all where every address is known to be reachable."""

from ipaddress import ip_address, ip_network

from kemi import nat
from kemi.request import Request
from kemi.router import Router
from kemi.rule import only
from kemi.settings import NatSettings
from kemi.verdict import Verdict

# Phones that we reach at private addresses: a NAT shows only in an address that is not the sender's own.
ROUTED = nat.Tests(NatSettings(tests=("via_source", "source_port")))
NO_NAT = None


class Routes(Router):
    #: The first network that holds the sender decides; for all others the settings do (nat.tests).
    policies = (
        (ip_network("203.0.113.0/28"), NO_NAT),  # carriers, whose Contact is to be left alone
        (ip_network("10.8.0.0/16"), ROUTED),  # branch offices, over a VPN
        (ip_network("fd00::/8"), NO_NAT),
    )

    @only(where="nat")
    def find_nat(self, request: Request) -> Verdict | None:
        source = ip_address(request.source_ip.strip("[]"))
        for network, tests in self.policies:
            if source in network:
                if tests is not None:
                    nat.detect(request, tests)
                return None
        return super().find_nat(request)
