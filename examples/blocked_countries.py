"""No calls to certain countries, by their codes (ITU-T E.164), and nothing at all from certain networks."""

from ipaddress import ip_address, ip_network

from kemi.request import Request
from kemi.router import Router, Rule
from kemi.verdict import Drop, Reply, Verdict

COUNTRY_BLOCKED = Reply(403, "Country blocked")
NETWORK_BLOCKED = Drop("blocked network")

# What people put between digits (RFC 3966, section 5.1.1).
SEPARATORS = str.maketrans("", "", "-.()")


class Routes(Router):
    countries = ("+53", "+850", "+882", "+883")
    networks = tuple(map(ip_network, ("198.51.100.0/24", "2001:db8:bad::/48")))

    def rules(self) -> tuple[Rule, ...]:
        rules = list(super().rules())
        rules.insert(0, self.drop_blocked_networks)
        # Behind `authenticate`: a stolen password does not open the door either.
        rules.insert(rules.index(self.record_route), self.refuse_blocked_countries)
        return tuple(rules)

    def drop_blocked_networks(self, request: Request) -> Verdict | None:
        source = ip_address(request.source_ip.strip("[]"))
        return NETWORK_BLOCKED if any(source in network for network in self.networks) else None

    def refuse_blocked_countries(self, request: Request) -> Verdict | None:
        return COUNTRY_BLOCKED if e164(request.uri_user).startswith(self.countries) else None


def e164(number: str) -> str:
    """The number with + and country code: 0053-7(12).34 is +5371234."""
    digits = number.translate(SEPARATORS)
    return "+" + digits[2:] if digits.startswith("00") else digits
