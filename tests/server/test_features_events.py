"""Events of Kamailio's modules, which an event_route hands to Router.on_event."""

from __future__ import annotations

import pytest

from kemi.cli.paths import product_file
from kemi.testing.client import Client
from kemi.testing.process import free_port
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers

# What a user who wants these events adds to kamailio.cfg.
EVENTS = """
modparam("htable", "timer_interval", 1)
modparam("htable", "htable", "short=>size=4;autoexpire=1;")
loadmodule "dispatcher.so"
modparam("dispatcher", "list_file", "{destinations}")
modparam("dispatcher", "ds_ping_interval", 1)
modparam("dispatcher", "ds_probing_mode", 1)
modparam("dispatcher", "ds_probing_threshold", 1)
event_route[tm:local-request] {{
    python_exec("ksr_event", "tm:local-request");
}}
event_route[htable:expired:short] {{
    python_exec("ksr_event", "htable:expired:short");
}}
event_route[dispatcher:dst-down] {{
    python_exec("ksr_event", "dispatcher:dst-down");
}}
"""

ROUTES = """
import KSR

from kemi import log
from kemi.http import HttpRequest
from kemi.router import Router


class Routes(Router):
    def on_event(self, name: str, http_request: HttpRequest) -> None:
        super().on_event(name, http_request)
        of = KSR.pv.gete("$shtrecord(key)" if name.startswith("htable:expired:") else "$ru")
        log.info(f"event {name}: {of}")
        if KSR.pv.gete("$fU") == "raising":
            raise RuntimeError("an event that fails")
"""


@pytest.fixture(scope="module")
def gone() -> int:
    """A port where nobody answers."""
    return free_port("127.0.0.9")


@pytest.fixture(scope="module")
def server(start_shared: Servers, tmp_path_factory: pytest.TempPathFactory, gone: int) -> KamailioServer:
    folder = tmp_path_factory.mktemp("events")
    destinations = folder / "dispatcher.list"
    destinations.write_text(f"1 sip:127.0.0.9:{gone}\n")
    cfg = folder / "kamailio.cfg"
    text = product_file("kamailio.cfg").read_text()
    marker = "####### Routing #######"
    assert marker in text
    cfg.write_text(text.replace(marker, EVENTS.format(destinations=destinations) + marker))
    server = start_shared(routes=ROUTES, cfg=cfg)
    server.rpc("cfg.set_now_int", "tm", "fr_timer", 300)
    return server


def uac_start(server: KamailioServer, user: str, target: Client) -> None:
    """Have the server send a request of its own."""
    headers = f"From: <sip:{user}@example.com>\r\nTo: <{target.uri}>\r\n"
    uri = f"sip:{target.address}:{target.port}"
    server.rpc("tm.t_uac_start", "OPTIONS", uri, ".", ".", headers, "")


def test_a_request_that_the_server_sends_itself(server: KamailioServer) -> None:
    with Client(server, "bob", address="127.0.0.3") as bob:
        uac_start(server, "server", bob)
        bob.reply(bob.expect("OPTIONS"), 200)
        server.wait_for_log(f"event tm:local-request: sip:{bob.address}:{bob.port}")


def test_an_event_that_fails_is_logged_and_costs_nothing(server: KamailioServer) -> None:
    with Client(server, "bob", address="127.0.0.3") as bob:
        for _ in range(5):
            uac_start(server, "raising", bob)
            request = bob.expect("OPTIONS")
            bob.reply(request, 200)
            server.wait_for_log(f"call {request.header('Call-ID')} (OPTIONS from")
        server.wait_for_log("RuntimeError: an event that fails")
        assert bob.ask("OPTIONS", server.uri).status == 200


def test_an_entry_of_a_table_that_expires(server: KamailioServer) -> None:
    start = len(server.log_text())
    server.rpc("htable.sets", "short", "alice", "1")
    server.wait_for_log("event htable:expired:short: alice", start=start)


def test_a_destination_that_does_not_answer(server: KamailioServer, gone: int) -> None:
    server.wait_for_log(f"event dispatcher:dst-down: sip:127.0.0.9:{gone}")
