"""GET /metrics on the SIP ports (WITH_METRICS) tells Prometheus what happened."""

from __future__ import annotations

import http.client
import re

import pytest

from kemi.deadline import wait_until
from kemi.testing.client import Client
from kemi.testing.dialog import call, hang_up
from kemi.testing.relay import Relay
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from tests.server import phones
from tests.server.command import kemi, ready
from tests.server.test_status import ROUTES

_LINE = re.compile(r"^kamailio_(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+) \d+$", re.MULTILINE)


@pytest.fixture
def server(start: Servers, relay: Relay) -> KamailioServer:
    return ready(start("WITH_NAT", "WITH_METRICS", routes=ROUTES, relay=relay))


def get(server: KamailioServer, path: str = "/metrics", source: str = "127.0.0.1") -> tuple[int, str]:
    connection = http.client.HTTPConnection(server.address, server.port, 5, source_address=(source, 0))
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def metrics(server: KamailioServer) -> dict[str, float]:
    """Each number by its name and labels, without Kamailio's prefix."""
    status, body = get(server)
    assert status == 200, body
    return {
        line["name"] + (f"{{{line['labels']}}}" if line["labels"] else ""): float(line["value"])
        for line in _LINE.finditer(body)
    }


def wait_for(server: KamailioServer, client: Client, wanted: dict[str, float]) -> dict[str, float]:
    """Until these are counted. A worker hands its numbers on with a message that comes a second after the last."""

    def found() -> dict[str, float]:
        client.ask("OPTIONS", server.uri)
        now = metrics(server)
        return now if wanted.items() <= now.items() else {}

    return wait_until(f"the metrics {wanted}", found, 10, every=0.1)


def test_each_request_is_counted_under_the_rule_that_decided(server: KamailioServer) -> None:
    with Client(server) as client:
        for _ in range(7):
            client.ask("MESSAGE", "sip:nobody@example.com")
        wait_for(server, client, {'kemi_decisions_total{rule="to_registered_contacts"}': 7})
        before = metrics(server)['kemi_decisions_total{rule="answer_keepalive"}']
        assert before > 0


def test_registrations_are_counted_by_nat_and_sign(server: KamailioServer) -> None:
    with phones.public_alice(server) as alice, phones.nated_bob(server) as bob, Client(server) as client:
        assert alice.register().status == 200
        assert bob.register().status == 200
        assert bob.register().status == 200
        found = wait_for(server, client, {'kemi_registrations_total{behind="nat"}': 2})
    assert found['kemi_registrations_total{behind="none"}'] == 1
    signs = {name: value for name, value in found.items() if name.startswith("kemi_nat_signs_total")}
    assert signs == {
        f'kemi_nat_signs_total{{test="{test}"}}': 2
        for test in ("contact", "via_source", "via", "source_port")
    }
    assert found["usrloc_location_contacts"] == 2


def test_a_call_shows_the_relays_answers_and_sessions(server: KamailioServer, relay: Relay) -> None:
    with phones.registered(phones.nated_bob(server), server) as bob, phones.nated_alice(server) as alice:
        side, other = call(alice, bob)
        found = metrics(server)
        assert found[f'kemi_relay_up{{relay="{relay.control}"}}'] == 1
        assert found[f'kemi_relay_sessions{{relay="{relay.control}"}}'] == 1
        hang_up(side, other)
        # Offer, answer, and the end of the session.
        found = wait_for(server, alice, {'kemi_relay_requests_total{outcome="answered"}': 3})
        assert found[f'kemi_relay_sessions{{relay="{relay.control}"}}'] == 0
        assert found[f'kemi_relay_sessions_created_total{{relay="{relay.control}"}}'] >= 1


def test_a_relay_that_is_gone_shows(start: Servers) -> None:
    relay = start.relay()
    server = ready(start("WITH_NAT", "WITH_METRICS", relay=relay))
    relay.kill()
    with phones.registered(phones.nated_bob(server), server) as bob, phones.nated_alice(server) as alice:
        alice.invite(bob.uri)
        alice.expect(503)
        wait_for(server, alice, {'kemi_relay_requests_total{outcome="unavailable"}': 1})
    assert metrics(server)[f'kemi_relay_up{{relay="{relay.control}"}}'] == 0


def test_exceptions_and_loads_are_counted_at_once(server: KamailioServer) -> None:
    with Client(server) as client:
        for _ in range(2):
            assert client.ask("MESSAGE", "sip:trouble@example.com").status == 500
    before = metrics(server)
    assert before["kemi_exceptions_total"] == 2
    kemi(server, "reload")
    (server.folder / "my_routes.py").write_text("class Routes(:\n")
    kemi(server, "reload", "--force")
    after = metrics(server)
    served, refused = 'kemi_loads_total{outcome="served"}', 'kemi_loads_total{outcome="refused"}'
    assert after[served] == before[served] + 4
    assert after[refused] == 4


def test_workers_tell_their_memory(server: KamailioServer) -> None:
    with Client(server) as client:
        client.ask("OPTIONS", server.uri)
    sizes = [value for name, value in metrics(server).items() if name.startswith("kemi_process_memory_bytes")]
    assert len(sizes) >= 2
    assert all(1e6 < size < 1e8 for size in sizes)


def test_kamailios_own_numbers_are_there_too(server: KamailioServer) -> None:
    with Client(server) as client:
        client.ask("MESSAGE", "sip:nobody@example.com")
    found = metrics(server)
    assert found["core_rcv_requests_message"] == 1
    assert found["sl_404_replies"] + found["tmx_4xx_transactions"] >= 1


def test_only_who_is_allowed_may_ask(start: Servers) -> None:
    server = start("WITH_METRICS", settings="metrics: {allow: [127.0.0.8/30]}\n")
    assert get(server, source="127.0.0.9")[0] == 200
    status, body = get(server, source="127.0.0.1")
    assert status == 403
    assert "Not allowed from 127.0.0.1" in body
    assert "kemi_" not in body


def test_json_rpc_stays_where_it_is(start: Servers) -> None:
    server = start("WITH_METRICS", "WITH_JSONRPC")
    assert get(server)[0] == 200
    assert "Wrong URL /other" in get(server, "/other")[1]


def test_without_the_define_nothing_is_counted_or_told(start: Servers) -> None:
    server = start("WITH_JSONRPC")
    assert "Wrong URL /metrics" in get(server)[1]


def test_a_network_that_is_none_stops_the_start(start: Servers) -> None:
    server = start.make("WITH_METRICS", settings="metrics: {allow: [everybody]}\n")
    process = server.launch()
    assert process.wait(10) != 0
    assert (
        "metrics.allow: expected addresses or networks, such as 10.0.0.0/8; found: 'everybody'"
        in server.log_text()
    )


def test_counts_survive_a_reload(server: KamailioServer) -> None:
    with Client(server) as client:
        for _ in range(5):
            client.ask("MESSAGE", "sip:nobody@example.com")
        kemi(server, "reload")
        found = metrics(server)
    assert found['kemi_decisions_total{rule="to_registered_contacts"}'] == 5
