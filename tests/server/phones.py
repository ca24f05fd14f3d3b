"""The phones of these tests, each at an address of its own, so that a log tells them apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kemi.testing.client import Client
from kemi.testing.server import KamailioServer

PASSWORD = "correct horse"


def public_alice(server: KamailioServer) -> Client:
    return Client(server, "alice", address="127.0.0.2")


def nated_alice(server: KamailioServer) -> Client:
    """What she writes in Via and Contact is an address behind a NAT."""
    return Client(server, "alice", address="127.0.0.2", contact_host="10.0.0.2", contact_port=5060)


def foreign_carol(server: KamailioServer) -> Client:
    """Of a foreign domain: her address is no address of ours."""
    return Client(server, "carol", address="127.0.0.4", domain="127.0.0.4")


def public_bob(server: KamailioServer) -> Client:
    return Client(server, "bob", address="127.0.0.3")


def nated_bob(server: KamailioServer) -> Client:
    return Client(server, "bob", address="127.0.0.3", contact_host="192.168.0.3", contact_port=5060)


@contextmanager
def registered(phone: Client, server: KamailioServer) -> Iterator[Client]:
    """Within the block the phone is registered; it has `PASSWORD`, if it is asked for one."""
    with phone:
        assert phone.register(password=PASSWORD).status == 200
        yield phone
    server.rpc("ul.rm", "location", phone.user)
