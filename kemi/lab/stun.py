"""A neutral judge of NATs: coturn's STUN server on two addresses, and its RFC 5780 client behind the NAT."""

import re
from pathlib import Path

from kemi.deadline import wait_until
from kemi.lab.errors import LabError, NotProvenError
from kemi.lab.nat import Filtering, Mapping, Nat
from kemi.lab.network import SERVERS, Host, Internet
from kemi.lab.process import Process

_MAPPINGS = {
    "Endpoint Independent Mapping": Mapping.ENDPOINT_INDEPENDENT,
    "Address and Port Dependent Mapping": Mapping.ADDRESS_AND_PORT_DEPENDENT,
}
_FILTERINGS = {
    "Endpoint Independent Filtering": Filtering.ENDPOINT_INDEPENDENT,
    "Address Dependent Filtering": Filtering.ADDRESS_DEPENDENT,
    "Address and Port Dependent Filtering": Filtering.ADDRESS_AND_PORT_DEPENDENT,
}


def parse(answer: str) -> tuple[Mapping, Filtering]:
    """Mapping and filtering as ``turnutils_natdiscovery -m -f`` names them. Raises LabError if it does not."""
    # The client says what it found in lines such as "NAT with Endpoint Independent Mapping!".
    mappings = [kind for words, kind in _MAPPINGS.items() if re.search(rf"NAT with {words}", answer)]
    filterings = [kind for words, kind in _FILTERINGS.items() if re.search(rf"NAT with {words}", answer)]
    if len(mappings) != 1 or len(filterings) != 1:
        raise LabError(f"natdiscovery: expected one mapping and one filtering, found:\n{answer}")
    return mappings[0], filterings[0]


class StunServer:
    """coturn with two public addresses, as RFC 5780 needs it."""

    def __init__(self, internet: Internet, run_dir: Path) -> None:
        self.host = internet.host("stun", SERVERS, addresses=2)
        first, _, last = self.host.address.rpartition(".")
        second = f"{first}.{int(last) + 1}"
        command = ["turnserver", "-n", "--no-auth", "-L", self.host.address, "-L", second]
        command += ["--no-tcp", "--no-tls", "--no-dtls", "--no-cli", "--log-file=stdout", "--simple-log"]
        command += [f"--pidfile={run_dir / 'stun.pid'}", f"--userdb={run_dir / 'stun.sqlite'}"]
        self._process = Process("coturn", command, self.host.namespace, run_dir / "logs" / "stun.log")
        wait_until(f"coturn to listen on {self.host.address}", self._is_listening, seconds=10)

    def _is_listening(self) -> bool:
        self._process.require_running()
        return self.host.namespace.output(["ss", "-Hlun", "sport", "=", ":3478"]).count(":3478") >= 2

    def judge(self, host: Host) -> tuple[Mapping, Filtering]:
        """Mapping and filtering that `host` meets on its way to the internet."""
        return parse(
            host.namespace.output(
                ["turnutils_natdiscovery", "-m", "-f", "-L", host.address, self.host.address], seconds=60
            )
        )

    def stop(self) -> None:
        self._process.stop()


def require(claimed: Nat, found: tuple[Mapping, Filtering], where: str) -> None:
    """Raise NotProvenError unless `found` is what `claimed` says."""
    if found != (claimed.mapping, claimed.filtering):
        raise NotProvenError(
            f"{where} claims to be {claimed.name}: expected {claimed.mapping.value} mapping and "
            f"{claimed.filtering.value} filtering, found {found[0].value} mapping and {found[1].value} filtering"
        )
