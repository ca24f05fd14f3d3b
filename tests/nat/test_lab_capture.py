"""A capture holds what passed its host's interface: all of it, or what some addresses sent and were sent."""

from pathlib import Path

from kemi.lab import pcap
from kemi.lab.lab import Lab
from kemi.lab.network import SERVERS
from tests.nat.conftest import OpenUdp


def test_a_capture_of_some_addresses_holds_both_directions_and_nobody_else(lab: Lab, udp: OpenUdp) -> None:
    hosts = [lab.internet.host(name, SERVERS) for name in ("server", "alice", "bob", "carol")]
    server, alice, bob, carol = (udp(host, 5060) for host in hosts)
    everything = lab.capture(hosts[0], Path("everything.pcap"))
    some = lab.capture(hosts[0], Path("some.pcap"), only=(hosts[1].address, hosts[2].address))
    for phone in (carol, alice, bob):
        phone.send("hello", server.endpoint)
        assert server.receive() == ("hello", phone.endpoint)
        server.send("welcome", phone.endpoint)
        assert phone.receive() == ("welcome", server.endpoint)
    ways = {}
    for capture in (everything, some):
        capture.flush()
        ways[capture] = [(one.source, one.destination) for one in pcap.datagrams(capture.path)]
    assert ways[some] == [
        way
        for phone in (alice, bob)
        for way in ((phone.endpoint, server.endpoint), (server.endpoint, phone.endpoint))
    ]
    assert ways[everything] == [
        (carol.endpoint, server.endpoint),
        (server.endpoint, carol.endpoint),
        *ways[some],
    ]
