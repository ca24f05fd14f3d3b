"""Routes that tell which of their versions serves, in which process."""

from __future__ import annotations

from kemi.deadline import wait_until
from kemi.testing.client import Client
from kemi.testing.server import KamailioServer

PATIENCE = 10.0  # seconds until each worker must have had its turn

# Answers OPTIONS to user "version" with a reason phrase of the version and the process.
ROUTES = """
import os

from kemi.router import Router
from kemi.verdict import Reply

VERSION = "one"


class Routes(Router):
    def rules(self):
        return (self.tell_version, *super().rules())

    def tell_version(self, request):
        if request.is_options and request.has_uri_user:
            return Reply(200, f"{VERSION} {os.getpid()}")
        return None
"""


def workers(server: KamailioServer) -> set[int]:
    found = {worker.pid for worker in server.workers() if worker.does.startswith("udp receiver")}
    assert len(found) == 2
    return found


def ask_version(client: Client) -> tuple[int, str]:
    """The process that answered, and what it serves."""
    version, pid = client.ask("OPTIONS", "sip:version@example.com").reason.split()
    return int(pid), version


def wait_until_served(server: KamailioServer, client: Client, wanted: str) -> None:
    """Ask until every worker serves this version.

    A process reloads before a message of its own, and only if no other process is in Python at that moment.
    """
    serving = dict.fromkeys(workers(server), "")

    def all_serve() -> bool:
        pid, version = ask_version(client)
        serving[pid] = version
        return set(serving.values()) == {wanted}

    wait_until(f"every worker of {server.log} to serve {wanted!r}", all_serve, PATIENCE, every=0.005)
