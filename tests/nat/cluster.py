"""A cluster in the laboratory: two edges, each with a relay of its own, in front of two registrars."""

from __future__ import annotations

import itertools
import secrets
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType

from kemi.deadline import wait_until
from kemi.lab import tones
from kemi.lab.lab import Lab
from kemi.lab.namespace import RUN
from kemi.lab.nat import PRESETS, Nat
from kemi.lab.network import PUBLIC_PHONES, SERVERS, Host
from kemi.lab.phone import PUBLIC, Account, Phone
from kemi.lab.relay import Relay
from kemi.lab.server import DOMAIN, PORT, Server


class Cluster:
    """Servers on public addresses, running inside ``with Cluster(lab) as cluster``; their logs go to the lab's folder.

    `ping` is the number of seconds between two keepalives.
    """

    def __init__(self, lab: Lab, *, ping: int = 30) -> None:
        self._lab = lab
        self._ping = ping
        self._phones = itertools.count()
        self.registrars: list[Server] = []
        self.edges: list[Server] = []
        self.relays: list[Relay] = []
        #: The registrars that have not been killed.
        self.living: list[Server] = []
        self._stack = ExitStack()

    def __enter__(self) -> Cluster:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def phone(self, name: str, nat: Nat | None, edge: Server, auto_answer: bool = True) -> Phone:
        """A phone that has logged in through `edge`, behind a gateway of its own or on the public internet."""
        gateway = None
        if nat:
            self._lab.trust(*PRESETS)
            gateway = self._lab.gateway(nat)
        password = secrets.token_hex(8)
        self.registrars[0].add_users({name: password})
        made = Phone(
            gateway.host(name) if gateway else self._lab.internet.host(name, PUBLIC_PHONES),
            Account(name, DOMAIN, password, edge.proxy),
            self._lab.run_dir / "phones" / name,
            tones.tone(next(self._phones)),
            nat=nat.name if nat else PUBLIC,
            public_address=gateway.public_address if gateway else "",
            auto_answer=auto_answer,
        )
        self._stack.callback(made.stop)
        made.register()
        self.wait_for(made, edge)
        return made

    def move(self, phone: Phone, edge: Server) -> None:
        """Have a phone whose edge is gone log in through another."""
        phone.control.command("uadel", phone.account.uri)
        phone.account = replace(phone.account, proxy=edge.proxy)
        phone.register()
        self.wait_for(phone, edge)

    def wait_for(self, phone: Phone, edge: Server) -> None:
        """Until all registrars that run know that the phone is at this edge: they share it after the 200."""

        def known() -> bool:
            paths = [one["Path"] for registrar in self.living for one in registrar.contacts(phone.name)]
            return len(paths) == len(self.living) and all(edge.host.address in path for path in paths)

        wait_until(f"all registrars to know {phone} at {edge.host}", known, seconds=5)

    def kill(self, server: Server) -> None:
        """End a server as a crash would."""
        server.kill()
        self.living = [one for one in self.living if one is not server]

    def sessions(self) -> list[int]:
        """How many calls each edge relays."""
        return [relay.active_sessions() for relay in self.relays]

    def _start(self, stack: ExitStack) -> None:
        lab = self._lab
        registrars = [lab.internet.host(f"registrar{number}", SERVERS) for number in (1, 2)]
        edges = [lab.internet.host(f"edge{number}", SERVERS) for number in (1, 2)]
        settings = f"cluster: {{edges: [{_addresses(edges)}], registrars: [{_addresses(registrars)}], patience: 500}}\n"
        for number, (own, peer) in enumerate(zip(registrars, reversed(registrars), strict=True), start=1):
            self.registrars.append(
                self._server(
                    stack,
                    own,
                    settings,
                    "WITH_CLUSTER",
                    "WITH_AUTH",
                    SERVER_ID=number,
                    DMQ_ADDRESS=f"sip:{own.address}:{PORT}",
                    DMQ_PEER=f"sip:{peer.address}:{PORT}",
                    NATPING_INTERVAL=self._ping,
                    **({"DBURL": f"sqlite:///{self.registrars[0].database}"} if self.registrars else {}),
                )
            )
        self.living = list(self.registrars)
        destinations = lab.run_dir / "dispatcher.list"
        destinations.write_text("".join(f"1 sip:{host.address}:{PORT}\n" for host in registrars))
        for host in edges:
            relay = Relay(host, lab.run_dir / f"relay-{host.address}")
            stack.callback(relay.stop)
            self.relays.append(relay)
            self.edges.append(
                self._server(
                    stack,
                    host,
                    settings,
                    "WITH_EDGE",
                    RTPPROXY_SOCK=relay.control,
                    DISPATCHER_LIST=str(destinations),
                    DISPATCHER_PING=1,
                )
            )

    def _server(
        self, stack: ExitStack, host: Host, settings: str, *defines: str, **values: str | int
    ) -> Server:
        made = Server(
            host,
            self._lab.run_dir / f"kamailio-{host.address}",
            RUN / self._lab.internet.prefix.rstrip("-") / host.address,
            relay="",
            settings=settings,
            defines=("WITH_NAT", *defines),
            values=values,
        )
        stack.callback(made.stop)
        return made


def _addresses(hosts: list[Host]) -> str:
    return ", ".join(host.address for host in hosts)
