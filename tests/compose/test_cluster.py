"""The cluster profile: two edges, two registrars, two relays, one database, as containers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from kemi.deadline import DeadlineError, wait_until
from kemi.testing.builders import sdp
from kemi.testing.client import Client
from kemi.testing.dialog import Dialog
from kemi.testing.message import Message
from tests.compose import load
from tests.compose.conftest import build_image
from tests.compose.load import Load
from tests.compose.phone import (
    PASSWORD,
    PATIENCE,
    Call,
    RefusedError,
    Target,
    ask,
    invitation,
    phone,
    register,
)
from tests.compose.prometheus_api import query
from tests.compose.stack import PHONES, Stack

Report = Callable[[str], None]

EDGES = (Target("198.51.100.11"), Target("198.51.100.12"))
PRIVATE_EDGES = ("172.31.240.11", "172.31.240.12")
REGISTRARS = ("registrar-1", "registrar-2")
SERVICES = ("edge-1", "edge-2", *REGISTRARS, "rtpproxy", "rtpproxy-2", "database")
REGISTRANTS = ("reg1", "reg2", "reg3", "reg4")
PAIRS = (("caller1", "callee1"), ("callee2", "caller2"))
"""The first of the one pair and the second of the other are at the first edge."""
REFRESH = 5.0
_DATABASE_AWAY_SECONDS = 20

_RULES = """\
from kemi.clustered import Registrar
from kemi.request import Request
from kemi.router import Router
from kemi.verdict import Reply, Verdict


class Routes(Router):
    def answer_keepalive(self, request: Request) -> Verdict | None:
        return Reply(403, "As you wish") if request.uri_user == "0900" else super().answer_keepalive(request)


class ClusterRoutes(Routes, Registrar):
    pass
"""


@pytest.fixture(scope="module")
def started(stack: Stack) -> Iterator[tuple[Stack, float]]:
    """The cluster in place of the single server, which is back afterwards, and the seconds that took."""
    stack.wait_healthy("kamailio")
    pairs = [name for pair in PAIRS for name in pair]
    stack.add_users("alice", "bob", "mover", "leaver", *REGISTRANTS, *pairs, password=PASSWORD)
    began = time.monotonic()
    stack.make("up", "PROFILE=cluster")
    seconds = time.monotonic() - began
    stack.address_clients()
    # What a user who types docker compose has in .env.
    added = {"COMPOSE_PROFILES": "cluster", "SINGLE_SERVER": "0"}
    stack.engine.environment.update(added)
    yield stack, seconds
    for name in added:
        del stack.engine.environment[name]
    stack.compose("--profile", "cluster", "rm", "--stop", "--force", *SERVICES[:4], "rtpproxy-2")
    stack.make("up")


@pytest.fixture
def cluster(started: tuple[Stack, float]) -> Stack:
    return started[0]


@pytest.fixture
def running(cluster: Stack) -> Iterator[Load]:
    """Registrations and calls through both edges; phones refresh often, as that is how they notice a dead edge."""
    for service in SERVICES:
        cluster.wait_healthy(service)
    with load.running(cluster, REGISTRANTS, PAIRS, EDGES, REFRESH) as running:
        yield running


@contextmanager
def registered(
    cluster: Stack, user: str, edge: int, number: int, password: str = PASSWORD
) -> Iterator[Client]:
    """A phone behind a NAT, registered through an edge."""
    inside = f"192.168.77.{number + 2}"
    with phone(cluster, user, PHONES[number], server=EDGES[edge], inside=inside) as made:
        assert register(made, password).status == 200
        yield made
        assert register(made, password, expires=0).status == 200


def expect(client: Client, wanted: str | int) -> Message:
    """The next request of this method, or reply with this status; keepalives on the way are answered."""
    end = time.monotonic() + PATIENCE
    while True:
        message = client.receive(max(end - time.monotonic(), 0.001), f"{wanted}")
        if message.method == "OPTIONS":
            client.reply(message, 200)
        elif wanted == (message.status if message.is_reply else message.method):
            return message


def renegotiate(side: Dialog, other: Dialog) -> None:
    """A re-INVITE."""
    side.send("INVITE", body=sdp(side.client.contact_host))
    came = expect(other.client, "INVITE")
    other.client.reply(came, 200, body=sdp(other.client.contact_host))
    expect(side.client, 200)
    side.send("ACK")
    expect(other.client, "ACK")


def test_the_cluster_takes_the_place_of_the_single_server(
    started: tuple[Stack, float], report: Report
) -> None:
    cluster, seconds = started
    report(f"cluster: `make up PROFILE=cluster` after `make up`: {seconds:.1f} s")
    used = cluster.memory_mib(SERVICES)
    report("cluster, memory: " + ", ".join(f"{name} {mib:.0f} MiB" for name, mib in used.items()))
    for service in SERVICES:
        assert cluster.inspect(service)["State"]["Health"]["Status"] == "healthy"
    assert cluster.compose("ps", "--all", "--quiet", "kamailio").split() == []
    for registrar in REGISTRARS:
        settings = cluster.inspect(registrar)
        assert not any(settings["NetworkSettings"]["Ports"].values()), "registrars are for edges only"
        assert list(settings["NetworkSettings"]["Networks"]) == ["kemi_private"]


def test_make_user_asks_a_registrar(cluster: Stack) -> None:
    password = cluster.add_user("erin")
    with registered(cluster, "erin", 0, 8, password):
        pass


def test_a_user_who_is_removed_is_forgotten_by_all_registrars(cluster: Stack) -> None:
    with ExitStack() as stack:
        # Their Call-IDs lead to either registrar.
        phones = [
            stack.enter_context(phone(cluster, "leaver", PHONES[number], server=EDGES[0]))
            for number in range(10, 18)
        ]
        assert {register(one).status for one in phones} == {200}
        cluster.execute("registrar-1", "kemi", "user", "remove", "leaver")
        assert {register(one).status for one in phones} == {401}


def test_phones_at_both_edges_call_each_other_through_both_relays(cluster: Stack) -> None:
    with registered(cluster, "alice", 0, 0) as alice, registered(cluster, "bob", 1, 1) as bob:
        rows = cluster.sql(
            "SELECT username, received, path FROM location WHERE username IN ('alice', 'bob') ORDER BY username"
        )
        for row, client, edge in zip(rows, (alice, bob), PRIVATE_EDGES, strict=True):
            received = f"sip:{client.address}:{client.port}"
            assert row == [client.user, received, f"<sip:{edge};lr;received={received}>"]
        ports: set[int] = set()
        # A call's relay follows from its Call-ID, like a coin: so many that both come up.
        for _ in range(16):
            for caller, callee in ((alice, bob), (bob, alice)):
                call = Call(caller, callee, invitation(caller, callee.uri))
                sides = (call.calling, call.called)
                renegotiate(*(sides if len(ports) % 2 else sides[::-1]))
                call.hang_up()
                found = re.search(r"m=audio (\d+)", call.accepted.body)
                assert found
                assert f"c=IN IP4 {cluster.env['ADVERTISED_ADDRESS']}" in call.accepted.body
                ports.add(int(found[1]) // 100)
        assert ports == {350, 351}, "each relay has a range of its own"


def require_little_lost(running: Load, since: float) -> None:
    """No registration; calls at most those that were just being set up."""
    assert set(running.results("REGISTER", since)) == {"200"}
    calls = running.results("call", since)
    assert calls.total() - calls["200"] <= len(PAIRS), calls


def test_a_registrar_killed(cluster: Stack, running: Load, report: Report) -> None:
    with registered(cluster, "alice", 0, 30) as alice, registered(cluster, "bob", 1, 31) as bob:
        call = Call(alice, bob, invitation(alice, bob.uri))
        for victim in REGISTRARS:
            killed = time.monotonic()
            cluster.compose("stop", "--timeout", "0", victim)
            running.wait_for_success()
            cluster.compose("start", victim)
            cluster.wait_healthy(victim)
            running.wait_for_success()
            report(
                f"cluster, {victim} killed and back after {time.monotonic() - killed:.0f} s: "
                f"{running.cost('REGISTER', killed)}; {running.cost('call', killed)}"
            )
            require_little_lost(running, killed)
        # No registrar is in the way of a call that is up.
        call.hang_up()


def test_an_edge_killed(cluster: Stack, running: Load, report: Report) -> None:
    """Who was there is called through the other edge as soon as it has registered there; calls of that one go on."""
    with (
        phone(cluster, "mover", PHONES[32], server=EDGES[0], inside="192.168.77.34") as before,
        registered(cluster, "alice", 1, 30) as alice,
        registered(cluster, "bob", 1, 31) as bob,
    ):
        assert register(before).status == 200
        call = Call(alice, bob, invitation(alice, bob.uri))
        killed = time.monotonic()
        with edge_1_stopped(cluster):
            moving = time.monotonic()
            with registered(cluster, "mover", 1, 32) as moved:
                Call(alice, moved, invitation(alice, moved.uri)).hang_up()
                report(
                    "cluster, edge-1 killed: a phone that registers through the other one was called, and had hung up, "
                    f"{time.monotonic() - moving:.1f} s after its REGISTER"
                )
                assert [one for one in before.unread() if one.method != "OPTIONS"] == []
            running.wait_for_success()
            report(
                f"cluster, edge-1 killed, half of the phones there, refreshed every {REFRESH:.0f} s: "
                f"{running.cost('REGISTER', killed)}; {running.cost('call', killed)}, the last that was lost began "
                f"{max(running.last_failure() - killed, 0):.1f} s afterwards"
            )
            require_little_lost(running, killed)
            call.hang_up()


@contextmanager
def edge_1_stopped(cluster: Stack) -> Iterator[None]:
    """Killed for the block, and there again afterwards."""
    cluster.compose("stop", "--timeout", "0", "edge-1")
    try:
        yield
    finally:
        cluster.compose("start", "edge-1")
        cluster.wait_healthy("edge-1")


def test_a_relay_killed(cluster: Stack, running: Load, report: Report) -> None:
    """New calls use the other one; a call through the dead one goes on without sound, and its BYE passes."""
    with registered(cluster, "alice", 0, 30) as alice, registered(cluster, "bob", 1, 31) as bob:
        # So many that both relays have some.
        calls = [Call(alice, bob, invitation(alice, bob.uri)) for _ in range(6)]
        killed = time.monotonic()
        cluster.compose("stop", "--timeout", "0", "rtpproxy-2")
        try:
            running.wait_for_success()
            for call in calls:
                call.hang_up()
            report(
                f"cluster, one of two relays killed: {running.cost('REGISTER', killed)}; {running.cost('call', killed)}"
            )
            require_little_lost(running, killed)
        finally:
            cluster.compose("start", "rtpproxy-2")
            cluster.wait_healthy("rtpproxy-2")


def test_prometheus_asks_all_servers(cluster: Stack) -> None:
    image = build_image(cluster.engine, "prometheus")
    cluster.engine.environment["PROMETHEUS_IMAGE"] = image
    up = ("up", "--detach", "--wait", "prometheus")
    cluster.compose("--profile", "cluster", "--profile", "monitor", *up)
    try:
        wait_until(
            "a scrape of each server",
            lambda: (
                {row["metric"]["instance"] for row in query(cluster, 'up{job="kemi"} == 1')}
                == {f"{name}:5060" for name in SERVICES[:4]}
            ),
            seconds=60,
            every=1,
        )
    finally:
        cluster.compose("--profile", "monitor", "rm", "--stop", "--force", "prometheus")


def test_the_single_server_is_not_started_beside_it(cluster: Stack) -> None:
    environment = cluster.engine.environment
    kept = {name: environment.pop(name) for name in ("COMPOSE_PROFILES", "SINGLE_SERVER")}
    try:
        said = cluster.make_fails("up")
    finally:
        environment.update(kept)
    assert "the cluster is running and has the ports; `make down` first" in said


def test_the_database_stopped(cluster: Stack, running: Load, report: Report) -> None:
    """No phone notices, and what happened meanwhile is written afterwards."""
    with registered(cluster, "alice", 0, 30) as alice:
        stopped = time.monotonic()
        cluster.compose("stop", "database")
        time.sleep(_DATABASE_AWAY_SECONDS)
        running.wait_for_success()
        renewed = register(alice)
        cluster.compose("start", "database")
        running.wait_for_success()
        report(
            f"cluster, database stopped for {time.monotonic() - stopped:.0f} s: "
            f"{running.cost('REGISTER', stopped)}; {running.cost('call', stopped)}"
        )
        for kind in ("REGISTER", "call"):
            assert set(running.results(kind, stopped)) == {"200"}
        assert renewed.status == 200
        cluster.wait_healthy("database")

        def is_written() -> bool:
            return [renewed.header("Call-ID")] in cluster.sql("SELECT callid FROM location")

        wait_until("the registration in table location", is_written, 60, every=0.5)


def test_contacts_survive_the_death_of_both_registrars(cluster: Stack) -> None:
    with registered(cluster, "alice", 0, 6) as alice, registered(cluster, "bob", 1, 7) as bob:

        def are_written() -> bool:
            # A database that was away is left alone for a while, and whoever registers then is written when he renews.
            assert [register(one).status for one in (alice, bob)] == [200, 200]
            return {"alice", "bob"} <= {row[0] for row in cluster.sql("SELECT username FROM location")}

        wait_until("both in table location", are_written, 60, every=1)
        for victim in REGISTRARS:
            cluster.kill(victim)
        for victim in REGISTRARS:
            cluster.wait_healthy(victim)
        # Until the edges have found them.
        wait_until("a call to be answered", lambda: can_call(alice, bob), 3 * PATIENCE, every=0.5)


def can_call(caller: Client, callee: Client) -> bool:
    try:
        Call(caller, callee, invitation(caller, callee.uri)).hang_up()
    except (DeadlineError, RefusedError):
        return False
    return True


@pytest.fixture
def routes_restored(cluster: Stack) -> Iterator[None]:
    files = [cluster.folder / "routes" / name for name in ("routes.py", "registrar.yaml")]
    before = [file.read_text() for file in files]
    yield
    for file, text in zip(files, before, strict=True):
        file.write_text(text)
    for registrar in REGISTRARS:
        cluster.wait_healthy(registrar)
    cluster.make("reload")


def test_registrars_serve_the_users_rules(cluster: Stack, routes_restored: None) -> None:
    with registered(cluster, "alice", 0, 6) as alice:

        def status() -> int:
            return ask(alice, alice.request("OPTIONS", f"sip:0900@{alice.domain}")).status

        assert status() != 403
        (cluster.folder / "routes/routes.py").write_text(_RULES)
        cluster.make("reload")
        # More than there are workers, and by their Call-IDs at both registrars.
        assert {status() for _ in range(16)} == {403}


def test_a_router_that_is_no_registrars_is_refused(cluster: Stack, routes_restored: None) -> None:
    file = cluster.folder / "routes/registrar.yaml"
    file.write_text(file.read_text().replace("routes:ClusterRoutes", "routes:Routes"))
    said = cluster.make_fails("reload")
    assert (
        "registrar.yaml: router: expected 'Routes' in routes to be a subclass of kemi.clustered.Registrar"
        in said
    )
    # The routes from before go on.
    with registered(cluster, "alice", 0, 6):
        pass


def test_another_network_than_the_settings_name_is_found_at_the_start(
    cluster: Stack, routes_restored: None
) -> None:
    file = cluster.folder / "routes/registrar.yaml"
    text = file.read_text()
    file.write_text(text.replace("172.31.240.12", "10.9.8.7"))
    cluster.compose("restart", "registrar-1")
    expected = "routes/registrar.yaml: cluster.edges: expected [172.31.240.11, 172.31.240.12]"
    cluster.wait_for_log("registrar-1", expected)
    file.write_text(text)
    cluster.compose("restart", "registrar-1")
