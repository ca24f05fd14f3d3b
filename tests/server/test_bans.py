"""Bans (`auth.ban`, WITH_ANTIFLOOD): who guesses or floods is not heard, and nobody else suffers for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kemi.cli.database import connect
from kemi.cli.paths import product_file
from kemi.cli.rpc import RpcError
from kemi.deadline import wait_until
from kemi.testing.client import Client
from kemi.testing.digest import authorize
from kemi.testing.message import Message
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from tests.server.phones import PASSWORD

URI = "sip:example.com"
USERS = {"alice": PASSWORD, "bob": PASSWORD}
PER_SOURCE, PER_USER = 3, 5
SETTINGS = f"auth:\n  ban:\n    failures_per_source: {PER_SOURCE}\n    failures_per_user: {PER_USER}\n"
LOG_ALL = "log:\n  decisions: all\n"


@pytest.fixture(scope="module")
def lasting(start_shared: Servers) -> KamailioServer:
    return start_shared("WITH_AUTH", users=USERS, settings=SETTINGS)


@pytest.fixture(scope="module")
def brief(start_shared: Servers) -> KamailioServer:
    """With windows and bans of a second."""
    return start_shared("WITH_AUTH", users=USERS, settings=f"{SETTINGS}    window: 1\n    duration: 1\n")


@pytest.fixture
def server(lasting: KamailioServer) -> KamailioServer:
    """One that nobody has failed at yet."""
    for table in ("authfail", "authban", "authok"):
        lasting.rpc("htable.flush", table)
    return lasting


def at(server: KamailioServer, last: int, user: str) -> Client:
    """A phone at 127.0.0.`last` and a new port."""
    return Client(server, user, address=f"127.0.0.{last}")


def logs_in(client: Client) -> bool:
    return client.register(password=PASSWORD).status == 200


def fail(client: Client, times: int) -> None:
    for _ in range(times):
        assert client.register(password="wrong").status == 401


def fail_everywhere(server: KamailioServer, user: str) -> None:
    """One failure from each of as many addresses as it takes to ban the user."""
    for number in range(PER_USER):
        with at(server, 100 + number, user) as guesser:
            fail(guesser, 1)


def is_dropped(server: KamailioServer, client: Client, request: Message, decision: str) -> bool:
    """Does the request end with this line in the log, and without an answer?"""
    client.send(request)
    line = f"{request.header('Call-ID')} {request.method} {request.uri} {decision}"
    server.wait_for_log(line)
    return client.unread() == []


def is_banned(server: KamailioServer, client: Client, why: str) -> bool:
    return is_dropped(server, client, client.request("REGISTER", URI), f"authenticate: drop ({why})")


def wait_until_forgotten(server: KamailioServer, table: str, key: str) -> None:
    def forgotten() -> bool:
        try:
            server.rpc("htable.get", table, key)
        except RpcError:
            return True
        return False

    wait_until(f"{key} to leave table {table}", forgotten, 5)


# -- who is banned


def test_an_address_that_guesses_is_banned_whatever_names_it_tries(server: KamailioServer) -> None:
    for number in range(PER_SOURCE):
        with at(server, 10, f"user{number}") as guesser:
            fail(guesser, 1)
    with at(server, 10, "alice") as guesser, at(server, 11, "alice") as alice:
        assert is_banned(server, guesser, "address is banned")
        assert logs_in(alice)
    assert f"banned 127.0.0.10 for 300 s after {PER_SOURCE} failed logins" in server.log_text()


def test_a_user_guessed_from_many_addresses_is_banned_at_new_ones(server: KamailioServer) -> None:
    fail_everywhere(server, "alice")
    with at(server, 10, "alice") as guesser, at(server, 10, "bob") as bob:
        assert is_banned(server, guesser, "user is banned")
        assert logs_in(bob)


def test_a_user_who_does_not_exist_is_banned_alike(server: KamailioServer) -> None:
    fail_everywhere(server, "nobody")
    with at(server, 10, "nobody") as guesser:
        assert is_banned(server, guesser, "user is banned")


def test_one_failure_less_is_forgiven(server: KamailioServer) -> None:
    with at(server, 10, "alice") as alice:
        fail(alice, PER_SOURCE - 1)
        assert logs_in(alice)


def test_guesses_by_other_requests_count_as_well(server: KamailioServer) -> None:
    with at(server, 10, "alice") as guesser:
        for _ in range(PER_SOURCE):
            assert guesser.ask("MESSAGE", "sip:bob@example.com", password="wrong").status == 407
        assert is_banned(server, guesser, "address is banned")


# -- who is not


def test_who_logged_in_at_a_banned_address_is_heard_there(server: KamailioServer) -> None:
    # An office behind the address of one NAT, with an attacker in it.
    with at(server, 10, "alice") as alice, at(server, 10, "mallory") as mallory, at(server, 10, "bob") as bob:
        assert logs_in(alice)
        fail(mallory, PER_SOURCE)
        assert is_banned(server, mallory, "address is banned")
        assert is_banned(server, bob, "address is banned")
        assert logs_in(alice)
        with at(server, 10, "alice") as rebound:  # the NAT gave the phone another port
            assert logs_in(rebound)


def test_a_phone_that_logged_in_is_heard_while_its_user_is_banned(server: KamailioServer) -> None:
    with at(server, 10, "alice") as alice, at(server, 10, "alice") as guesser:
        assert logs_in(alice)
        fail_everywhere(server, "alice")
        assert is_banned(server, guesser, "user is banned")
        assert logs_in(alice)


def test_requests_without_credentials_are_no_failures(server: KamailioServer) -> None:
    with at(server, 10, "alice") as alice:
        for _ in range(2 * PER_USER):
            assert alice.register().status == 401
        assert logs_in(alice)


def test_credentials_from_before_a_restart_are_no_failures(start: Servers) -> None:
    # All phones of an office send such ones after a restart, and all from one address.
    server = start("WITH_AUTH", users=USERS, settings=SETTINGS)
    with at(server, 10, "alice") as alice:
        challenge = alice.register()
        server.stop()
        server.start()
        for _ in range(2 * PER_USER):
            request = authorize(alice.request("REGISTER", URI), challenge, "alice", PASSWORD)
            alice.send(request)
            assert alice.final(request).status == 401
        assert logs_in(alice)


def test_an_expired_nonce_is_no_failure(start: Servers, tmp_path: Path) -> None:
    cfg = tmp_path / "kamailio.cfg"
    cfg.write_text(
        product_file("kamailio.cfg")
        .read_text()
        .replace('loadmodule "auth.so"', 'loadmodule "auth.so"\nmodparam("auth", "nonce_expire", 1)')
    )
    server = start("WITH_AUTH", users=USERS, settings=SETTINGS, cfg=cfg)
    with at(server, 10, "alice") as alice:
        challenge = alice.register()

        def has_expired() -> bool:
            request = authorize(alice.request("REGISTER", URI), challenge, "alice", PASSWORD)
            alice.send(request)
            return alice.final(request).status == 401

        wait_until("the nonce to expire", has_expired, 5)
        server.rpc("htable.flush", "authok")  # the logins before that exempt the phone from bans
        assert all(has_expired() for _ in range(2 * PER_USER))
        assert logs_in(alice)


def test_logins_while_the_database_fails_are_no_failures(server: KamailioServer) -> None:
    url = str(server.values["DBURL"])
    with at(server, 10, "alice") as alice:
        with connect(url) as database:
            database.execute("ALTER TABLE subscriber RENAME TO away")
        try:
            answers = {alice.register(password=PASSWORD).status for _ in range(2 * PER_USER)}
        finally:
            with connect(url) as database:
                database.execute("ALTER TABLE away RENAME TO subscriber")
        assert answers == {401}
        assert logs_in(alice)


def test_the_stock_profile_counts_nothing(start: Servers) -> None:
    server = start("WITH_AUTH", users=USERS, settings="profile: stock\n")
    with at(server, 10, "alice") as alice:
        fail(alice, 30)
        assert logs_in(alice)


# -- for how long


def test_a_ban_ends(brief: KamailioServer) -> None:
    with at(brief, 10, "alice") as alice:
        fail(alice, PER_SOURCE)
        assert is_banned(brief, alice, "address is banned")
        wait_until_forgotten(brief, "authban", alice.address)
        assert logs_in(alice)


def test_failures_are_forgotten_after_their_window(brief: KamailioServer) -> None:
    with at(brief, 11, "bob") as bob:
        for _ in range(2):
            fail(bob, PER_SOURCE - 1)
            wait_until_forgotten(brief, "authfail", bob.address)
        assert logs_in(bob)


def test_a_login_is_forgotten_unless_it_is_repeated(start: Servers) -> None:
    server = start("WITH_AUTH", users=USERS, settings=f"{SETTINGS}    remember: 2\n")

    def value(key: str) -> int:
        return int(server.rpc("htable.get", "authok", key)["item"]["value"])

    with at(server, 10, "alice") as alice:
        keys = [
            f"{alice.address}|alice",
            f"{alice.address}:{alice.port}|alice",
            f"{alice.address}:{alice.port}",
        ]
        assert logs_in(alice)
        first = value(keys[0])

        def is_noted_anew() -> bool:
            assert logs_in(alice)
            return value(keys[0]) > first

        wait_until("the login to be noted anew", is_noted_anew, 5)
        assert {value(key) for key in keys} == {value(keys[0])}
        for key in keys:
            wait_until_forgotten(server, "authok", key)


# -- floods


def flood(server: KamailioServer, client: Client) -> None:
    """Send more at once than pike allows, until the server has seen it all and banned the address."""
    requests = [client.request("OPTIONS", URI) for _ in range(60)]
    for request in requests:
        client.send(request)
    for request in requests:
        server.wait_for_log(f"{request.header('Call-ID')} OPTIONS {URI}")
    assert 0 < len(client.unread()) < 40
    assert server.rpc("htable.get", "ipban", client.address)
    assert f"flood from {client.address}:{client.port}: banned" in server.log_text()


@pytest.fixture(scope="module")
def guarded(start_shared: Servers) -> KamailioServer:
    return start_shared("WITH_AUTH", "WITH_ANTIFLOOD", users=USERS, settings=SETTINGS + LOG_ALL)


def test_an_address_that_floods_is_banned_and_no_other(guarded: KamailioServer) -> None:
    with at(guarded, 20, "x") as flooder, at(guarded, 20, "alice") as late, at(guarded, 21, "bob") as bob:
        flood(guarded, flooder)
        assert is_dropped(guarded, late, late.request("OPTIONS", URI), "screen_floods: drop (flood)")
        assert logs_in(bob)


def test_a_phone_that_logged_in_is_heard_beside_a_flooder(guarded: KamailioServer) -> None:
    with at(guarded, 30, "alice") as alice, at(guarded, 30, "x") as flooder, at(guarded, 30, "bob") as bob:
        assert logs_in(alice)
        flood(guarded, flooder)
        assert is_dropped(guarded, bob, bob.request("OPTIONS", URI), "screen_floods: drop (flood)")
        assert logs_in(alice)
        assert alice.ask("OPTIONS", URI).status == 200


def test_who_has_logged_in_does_not_count_towards_a_flood(guarded: KamailioServer) -> None:
    with at(guarded, 31, "alice") as alice, at(guarded, 31, "bob") as bob:
        assert logs_in(alice)
        for _ in range(60):
            assert alice.ask("OPTIONS", URI).status == 200
        # The next phone of the same office.
        assert logs_in(bob)


def test_the_server_itself_is_never_a_flooder(guarded: KamailioServer) -> None:
    # Its own address is 127.0.0.1 here.
    with at(guarded, 1, "alice") as looped:
        for _ in range(60):
            assert looped.ask("OPTIONS", URI).status == 200
