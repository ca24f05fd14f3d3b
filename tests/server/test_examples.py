"""The examples on a real Kamailio: real carriers and phones, databases, recordings and web servers."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from kemi.deadline import wait_until
from kemi.testing import KamailioServer, Message, sdp
from kemi.testing.dialog import Dialog, hang_up
from kemi.testing.process import LOOPBACK, free_port
from kemi.testing.relay import Relay
from kemi.testing.servers import Servers

EXAMPLES = Path(__file__).parents[2] / "examples"
RTP_PACKET = b"\x80\x08" + bytes(10) + b"\xd5" * 160


def example(name: str, **options: object) -> pytest.MarkDecorator:
    """The fixture `kamailio` takes the example as it is."""
    return pytest.mark.kemi(settings=f"examples/{name}.yaml", cfg=own_cfg(name), **options)


def own_cfg(name: str) -> Path | None:
    path = EXAMPLES / f"{name}.cfg"
    return path if path.exists() else None


def prepared(
    start: Servers, name: str, *defines: str, cfg: Path | None = None, **values: Any
) -> KamailioServer:
    """A server that will run the example, not started, on a port that phones can already be given."""
    server = start.make(*defines, routes=f"from {name} import Routes\n", cfg=cfg or own_cfg(name), **values)
    server.port = free_port()
    return server


def started(server: KamailioServer, name: str, changes: str) -> KamailioServer:
    """With other values than the example comes with: lines of a class derived from it."""
    (server.folder / "my_routes.py").write_text(
        "import sys\n"
        f"sys.path.append({str(EXAMPLES)!r})\n"
        "from datetime import datetime\n"
        "from ipaddress import ip_network\n"
        "from pathlib import Path\n"
        f"import {name}\n"
        f"class Routes({name}.Routes):\n{indent(changes, '    ')}\n"
    )
    return server.start()


# -- premium_numbers, blocked_countries


@example("premium_numbers")
def test_premium_numbers_are_refused(kamailio: KamailioServer) -> None:
    answer = kamailio.client().ask("INVITE", "sip:0900123@example.com")
    assert (answer.status, answer.reason) == (403, "No premium numbers")


@example("blocked_countries")
def test_blocked_countries_are_refused(kamailio: KamailioServer) -> None:
    alice = kamailio.client()
    assert alice.ask("INVITE", "sip:+53-7(12)34@example.com").reason == "Country blocked"
    assert alice.ask("INVITE", "sip:+4930123456@example.com").status == 404


def test_blocked_networks_hear_nothing(start: Servers) -> None:
    server = prepared(start, "blocked_countries")
    started(server, "blocked_countries", 'networks = (ip_network("127.0.0.9/32"),)')
    blocked = server.client(address="127.0.0.9")
    blocked.send(blocked.request("OPTIONS", server.uri))
    assert server.client().ask("OPTIONS", server.uri).status == 200
    blocked.expect_silence()


# -- carrier_failover


def test_a_call_gets_through_where_one_carrier_is_dead_and_another_full(start: Servers) -> None:
    server = prepared(start, "carrier_failover")
    carriers = [server.client(name, address="127.0.0.6") for name in ("dead", "full", "good")]
    addresses = tuple(f"{carrier.address}:{carrier.port}" for carrier in carriers)
    started(server, "carrier_failover", f"carriers = {addresses}\npatience = 500")
    dead, full, good = carriers
    alice = server.client()

    invite = alice.invite("sip:004930123456@example.com")
    assert dead.expect("INVITE").uri == f"sip:+4930123456@{addresses[0]}"
    began = time.monotonic()
    full.reply(full.expect("INVITE"), 503)
    assert time.monotonic() - began < 2
    came = good.expect("INVITE")
    assert came.uri == f"sip:+4930123456@{addresses[2]}"
    good.reply(came, 180)
    alice.expect(180)
    sent = good.reply(came, 200, body=sdp(good.address))
    calling = Dialog.of_caller(alice, invite, alice.expect(200))
    calling.send("ACK")
    good.expect("ACK")
    hang_up(calling, Dialog.of_callee(good, came, sent))


# -- hunt_group


def test_phones_of_a_group_ring_one_after_the_other_until_one_answers(start: Servers, relay: Relay) -> None:
    server = prepared(start, "hunt_group", "WITH_NAT", RTPPROXY_SOCK=relay.control)
    started(server, "hunt_group", "ringing = 600")
    alice = server.client("alice", contact_host="10.0.0.2")
    bob = server.client("bob", contact_host="10.0.0.3")
    dave = server.client("dave", contact_host="10.0.0.4")
    for phone in (bob, dave):
        assert phone.register().status == 200  # carol has none

    invite = alice.invite("sip:support@example.com")
    rings = bob.expect("INVITE")
    bob.reply(rings, 180)
    alice.expect(180)
    bob.reply(bob.expect("CANCEL"), 200)
    bob.reply(rings, 487)
    bob.expect("ACK")
    came = dave.expect("INVITE")
    sent = dave.reply(came, 200, body=sdp("10.0.0.4"))
    calling = Dialog.of_caller(alice, invite, alice.expect(200))
    calling.send("ACK")
    dave.expect("ACK")
    relay.wait_for_sessions(1)
    hang_up(calling, Dialog.of_callee(dave, came, sent))
    relay.wait_for_sessions(0)


@example("hunt_group")
def test_the_last_phone_of_a_group_has_the_last_word(kamailio: KamailioServer) -> None:
    alice, carol, bob = (kamailio.client(name) for name in ("alice", "carol", "bob"))
    for phone in (carol, bob):
        phone.register()
    invite = alice.invite("sip:sales@example.com")
    carol.reply(carol.expect("INVITE"), 486)
    bob.reply(bob.expect("INVITE"), 603)
    assert alice.final(invite).status == 603


# -- nat_by_network


def test_a_nat_is_found_in_one_network_and_not_looked_for_in_the_other(start: Servers, relay: Relay) -> None:
    server = prepared(start, "nat_by_network", "WITH_NAT", RTPPROXY_SOCK=relay.control)
    started(server, "nat_by_network", 'policies = ((ip_network("127.0.0.7/32"), None),)')
    bob = server.client("bob")
    bob.register()
    for address, expected in (("127.0.0.7", False), ("127.0.0.2", True)):
        alice = server.client(address=address, contact_host="10.0.0.2")
        alice.invite(bob.uri)
        contact = bob.expect("INVITE").header("Contact") or ""
        assert (f";alias={address}~{alice.port}~1" in contact) == expected


# -- number_directory


def numbers(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("create table numbers (number text primary key, user text not null)")
        database.execute("insert into numbers values ('+4930123456', 'bob')")


def test_a_number_is_looked_up_in_the_database_also_after_a_reload(start: Servers, tmp_path: Path) -> None:
    numbers(tmp_path / "numbers.sqlite")
    server = prepared(start, "number_directory")
    started(server, "number_directory", f"database = Path({str(tmp_path / 'numbers.sqlite')!r})")
    alice, bob = server.client("alice"), server.client("bob")
    bob.register()
    for transport in ("udp", "tcp"):
        caller = server.client("alice", transport=transport)
        for _ in range(3):
            caller.invite("sip:+4930123456@example.com")
            bob.reply(bob.expect("INVITE"), 486)
            bob.expect("ACK")
    server.reload()
    for _ in range(4):
        assert alice.ask("INVITE", "sip:+4930999999@example.com").status == 404
    invite = alice.invite("sip:+4930123456@example.com")
    bob.reply(bob.expect("INVITE"), 486)
    assert alice.final(invite).status == 486


def test_without_its_database_no_server_starts(start: Servers, tmp_path: Path) -> None:
    server = start.make(
        routes=f"import sys\nsys.path.append({str(EXAMPLES)!r})\nfrom number_directory import Routes\n"
    )
    process = server.launch()
    process.wait_for_log("unable to open database file", 10)
    # It ends now, or in a minute: a child that was just forked may miss its SIGTERM, for which Kamailio waits so long.
    process.wait_for_log("terminating due to SIGCHLD", 10)


# -- office_hours


@pytest.mark.parametrize(("when", "status"), [("2026-01-05 07:59", 480), ("2026-01-05 09:00", 404)])
def test_the_reception_rings_in_office_hours(start: Servers, when: str, status: int) -> None:
    server = prepared(start, "office_hours")
    started(server, "office_hours", f"def now(self): return datetime.fromisoformat({when!r})")
    assert server.client().ask("INVITE", "sip:reception@example.com").status == status


# -- rate_limit


@example("rate_limit", defines=["WITH_AUTH"], users={"alice": "secret", "bob": "secret"})
def test_a_user_may_call_ten_times_a_minute_through_whichever_worker(kamailio: KamailioServer) -> None:
    def call(user: str) -> int:
        return kamailio.client(user).ask("INVITE", "sip:nobody@example.com", password="secret").status

    assert [call("alice") for _ in range(12)] == [404] * 10 + [403] * 2
    assert call("bob") == 404


def test_a_new_minute_brings_new_calls(start: Servers) -> None:
    server = prepared(start, "rate_limit")
    started(server, "rate_limit", "calls = 1\nseconds = 1")
    alice = server.client()

    def status() -> int:
        return alice.ask("INVITE", "sip:nobody@example.com").status

    assert [status(), status()] == [404, 403]
    wait_until("a call to be allowed again", lambda: status() == 404, 5)


# -- recorded_calls


class Sound:
    """A phone's RTP socket."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOOPBACK, 0))
        self.socket.settimeout(3)

    @property
    def sdp(self) -> str:
        return sdp(LOOPBACK, self.socket.getsockname()[1])

    def send(self, to: Message, payload: bytes) -> None:
        port = re.search(r"^m=audio (\d+) ", to.body, re.MULTILINE)
        assert port
        self.socket.sendto(RTP_PACKET[:12] + payload, (LOOPBACK, int(port[1])))


@pytest.mark.parametrize(("called", "recorded"), [("support", True), ("bob", False)])
def test_a_call_is_recorded(start: Servers, tmp_path: Path, called: str, recorded: bool) -> None:
    folder = tmp_path / "recordings"
    with Relay(tmp_path, record_dir=folder) as relay:
        server = prepared(start, "recorded_calls", "WITH_NAT", "WITH_RTPRELAY", RTPPROXY_SOCK=relay.control)
        started(server, "recorded_calls", "pass")
        alice, bob, mine, theirs = server.client("alice"), server.client(called), Sound(), Sound()
        bob.register()
        invite = alice.invite(bob.uri, body=mine.sdp)
        came = bob.expect("INVITE")
        sent = bob.reply(came, 200, body=theirs.sdp)
        accepted = alice.expect(200)
        calling = Dialog.of_caller(alice, invite, accepted)
        calling.send("ACK")
        bob.expect("ACK")
        for _ in range(5):
            mine.send(accepted, b"from alice" * 16)
            theirs.send(came, b"from callee" * 15)
            assert mine.socket.recv(2048)[12:] == b"from callee" * 15
            assert theirs.socket.recv(2048)[12:] == b"from alice" * 16
        hang_up(calling, Dialog.of_callee(bob, came, sent))
        relay.wait_for_sessions(0)

        def voices() -> set[bytes]:
            files = (path.read_bytes() for path in folder.rglob("*") if path.is_file())
            return {voice for file in files for voice in re.findall(b"from alice|from callee", file)}

        if recorded:
            wait_until("both voices in the recording", lambda: len(voices()) == 2, 3)
        assert bool(voices()) == recorded


# -- missed_calls


class WebServer:
    """Takes reports; while it hangs it takes none and says nothing."""

    def __init__(self) -> None:
        self.reports: list[dict[str, str]] = []
        self.asked, self.may_answer = threading.Event(), threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.set()
                outer.may_answer.wait(10)
                outer.reports.append(report)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self.http.server_address[1]}/missed"


@pytest.fixture
def web() -> Iterator[WebServer]:
    web = WebServer()
    thread = threading.Thread(target=web.http.serve_forever, args=(0.05,))
    thread.start()
    yield web
    web.may_answer.set()
    web.http.shutdown()
    web.http.server_close()
    thread.join(5)


def test_sip_is_answered_at_once_while_the_web_server_hangs_for_five_seconds(
    start: Servers, web: WebServer
) -> None:
    server = prepared(start, "missed_calls", CHILDREN=1)
    started(server, "missed_calls", f"url = {web.url!r}")
    alice, bob = server.client("alice"), server.client("bob")
    bob.register()
    assert alice.ask("INVITE", "sip:nobody@example.com").status == 404
    assert web.asked.wait(5)

    # At a pace that the server's memory can follow: tm keeps each ended call for 5 s.
    slowest = 0.0
    end = time.monotonic() + 5
    calls = 0
    while time.monotonic() < end:
        time.sleep(0.01)
        began = time.monotonic()
        invite = alice.invite("sip:bob@example.com")
        bob.reply(bob.expect("INVITE"), 486)
        assert alice.final(invite).status == 486
        bob.expect("ACK")
        slowest = max(slowest, time.monotonic() - began)
        calls += 1
    assert not web.reports
    assert slowest < 0.5
    assert calls > 100

    web.may_answer.set()
    expected = min(calls, 1000) + 1  # the queue holds a thousand, and one was on its way
    wait_until("all reports that the queue holds", lambda: len(web.reports) >= expected, 20)
    assert [report["called"] for report in web.reports] == ["nobody"] + ["bob"] * (expected - 1)


def test_a_web_server_that_is_down_costs_a_line_in_the_log(start: Servers) -> None:
    server = prepared(start, "missed_calls")
    started(server, "missed_calls", f'url = "http://{LOOPBACK}:{free_port()}/missed"')
    server.client().ask("INVITE", "sip:nobody@example.com")
    server.wait_for_log("not told of missed call")


# -- lost_phones


def test_a_phone_that_does_not_renew_its_registration_is_in_the_log(start: Servers, tmp_path: Path) -> None:
    cfg = tmp_path / "impatient.cfg"
    cfg.write_text(
        f'#!KAMAILIO\ninclude_file "{EXAMPLES / "lost_phones.cfg"}"\nmodparam("registrar", "min_expires", 1)\n'
    )
    server = prepared(start, "lost_phones", cfg=cfg, USRLOC_TIMER=1)
    started(server, "lost_phones", "pass")
    bob = server.client("bob")
    bob.register(expires=1)
    server.wait_for_log(f"lost phone: bob at sip:bob@{bob.address}:{bob.port}", 8)
