"""Each kind of NAT does what RFC 4787 says of it: judged by coturn's RFC 5780 client, and by plain datagrams."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from kemi.lab import FULL_CONE, PORT_RESTRICTED, PRESETS, RESTRICTED, SYMMETRIC, Filtering, Mapping, Nat
from kemi.lab.errors import LabError, NotProvenError
from kemi.lab.lab import Lab
from kemi.lab.network import SERVERS
from kemi.lab.stun import parse
from tests.nat.conftest import Endpoint, OpenUdp, Udp

UNUSUAL = Nat("symmetric, open", Mapping.ADDRESS_AND_PORT_DEPENDENT, Filtering.ENDPOINT_INDEPENDENT)
SIP = 5060

# A reply that a NAT should have let in arrives within a millisecond here.
SILENCE = 0.3


def public_endpoint(phone: Udp, server: Udp) -> Endpoint:
    """Where `server` sees `phone`, after a datagram that opens a hole."""
    phone.send("open", server.endpoint)
    received = server.receive()
    assert received is not None
    return received[1]


def test_a_neutral_judge_finds_every_preset_to_be_what_it_claims(lab: Lab) -> None:
    gateways = [lab.gateway(nat) for nat in (*PRESETS, UNUSUAL)]
    with ThreadPoolExecutor(len(gateways)) as pool:
        found = list(pool.map(lab.judge, gateways))
    assert found == [(gateway.nat.mapping, gateway.nat.filtering) for gateway in gateways]


def test_a_gateway_that_is_not_what_it_claims_is_caught(lab: Lab) -> None:
    gateway = lab.gateway(SYMMETRIC)
    gateway.behave(FULL_CONE)
    with pytest.raises(NotProvenError) as caught:
        lab.prove(gateway)
    assert str(caught.value) == (
        f"gateway nat1 ({gateway.public_address}) claims to be symmetric: "
        "expected address- and port-dependent mapping and address- and port-dependent filtering, "
        "found endpoint-independent mapping and endpoint-independent filtering"
    )


def test_a_judgement_without_a_verdict_is_an_error() -> None:
    with pytest.raises(LabError, match="expected one mapping and one filtering, found:\nSTUN timed out"):
        parse("STUN timed out")


@pytest.mark.parametrize(
    ("nat", "same_port"),
    [(FULL_CONE, True), (RESTRICTED, True), (PORT_RESTRICTED, True), (SYMMETRIC, False)],
    ids=lambda value: value.name if isinstance(value, Nat) else "",
)
def test_mapping_decides_whether_two_servers_see_one_port(
    lab: Lab, udp: OpenUdp, nat: Nat, same_port: bool
) -> None:
    first, second = (udp(lab.internet.host(name, SERVERS), SIP) for name in ("first", "second"))
    phone = udp(lab.gateway(nat).host("phone"), SIP)
    seen = [public_endpoint(phone, server) for server in (first, second)]
    assert (seen[0] == seen[1]) is same_port
    assert SIP not in {port for _, port in seen}, "the lab's NATs never keep the private port"


@pytest.mark.parametrize(
    ("nat", "stranger", "other_port"),
    [
        (FULL_CONE, True, True),
        (RESTRICTED, False, True),
        (PORT_RESTRICTED, False, False),
        (SYMMETRIC, False, False),
        (UNUSUAL, True, True),
    ],
    ids=lambda value: value.name if isinstance(value, Nat) else "",
)
def test_filtering_decides_who_may_use_a_hole(
    lab: Lab, udp: OpenUdp, nat: Nat, stranger: bool, other_port: bool
) -> None:
    host = lab.internet.host("server", SERVERS)
    server, elsewhere = udp(host, SIP), udp(host, 7000)
    unknown = udp(lab.internet.host("unknown", SERVERS), SIP)
    phone = udp(lab.gateway(nat).host("phone"), SIP)
    hole = public_endpoint(phone, server)
    for sender, expected in ((server, True), (elsewhere, other_port), (unknown, stranger)):
        sender.send("ring", hole)
        assert (phone.receive(SILENCE) == ("ring", sender.endpoint)) is expected, sender.endpoint


@pytest.mark.parametrize("nat", PRESETS, ids=lambda nat: nat.name)
def test_two_phones_behind_one_gateway_are_told_apart(lab: Lab, udp: OpenUdp, nat: Nat) -> None:
    server = udp(lab.internet.host("server", SERVERS), SIP)
    gateway = lab.gateway(nat)
    phones = [udp(gateway.host(name), SIP) for name in ("alice", "bob")]
    holes = [public_endpoint(phone, server) for phone in phones]
    assert holes[0] != holes[1]
    for phone, hole in zip(phones, holes, strict=True):
        server.send(f"for {hole[1]}", hole)
        assert phone.receive() == (f"for {hole[1]}", server.endpoint)


def test_a_hole_closes_when_nothing_passes_it_for_the_udp_timeout(lab: Lab, udp: OpenUdp) -> None:
    server = udp(lab.internet.host("server", SERVERS), SIP)
    gateways = [lab.gateway(replace(nat, udp_timeout=2)) for nat in PRESETS]
    phones = [udp(gateway.host(f"behind-{gateway.name}"), SIP) for gateway in gateways]
    holes = [public_endpoint(phone, server) for phone in phones]
    for _ in range(4):  # longer than the timeout in all: what the server sends keeps the hole open
        for phone, hole in zip(phones, holes, strict=True):
            server.send("keepalive", hole)
            assert phone.receive() == ("keepalive", server.endpoint)
        assert phones[0].receive(0.8) is None
    assert phones[0].receive(2.5) is None
    for hole in holes:
        server.send("too late", hole)
    assert [phone.receive(SILENCE) for phone in phones] == [None] * len(phones)
