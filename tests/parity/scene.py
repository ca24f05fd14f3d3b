"""A case as one server plays it: its agents, and the record of what the server sent."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kemi.cli.rpc import RpcError
from kemi.deadline import DeadlineError
from kemi.testing.message import Message
from tests.parity.agent import OPEN, Agent, Place
from tests.parity.network import AGENT_PORTS, RTPENGINE_CONTROL, RTPPROXY_CONTROL, SERVER, Datagram
from tests.parity.normal import Normaliser
from tests.parity.record import Record
from tests.parity.world import DOMAIN, World

_PORTS_PER_CASE = 20
#: What the location table says of a contact and depends on the moment: State is whether a timer has written it already.
_VOLATILE = {"State", "Ruid", "Last-Keepalive", "Last-Modified", "KA-Roundtrip", "Server-Id", "Tcpconn-Id"}
_ACCOUNTED = re.compile(r"ACC: .*")
#: How agents write Call-IDs: name of the agent, number of the case, number of the message.
_CALL_ID = re.compile(rb"[a-z]\w*-(\d+)-\d+@parity")
#: What every process asks its relay when it starts, sooner or later.
_GREETING = re.compile("VF? |V$|d7:command4:pinge")
#: What the relay's launcher asks and tells it (rtpproxy/__main__.py).
_LAUNCHER = re.compile(r"G |\w+ launcher-")
_KEEPALIVE = re.compile(rb"\0|OPTIONS ")
_TIMESTAMP = re.compile(r"timestamp=\d+")


@dataclass(frozen=True)
class Case:
    """A named script. It plays on any server alike: what it does depends on nothing but what agents receive."""

    group: str
    name: str
    play: Callable[[Scene], None]

    def __str__(self) -> str:
        return f"{self.group}: {self.name}"


class Scene:
    """Where a case is played: `world` is the server, `number` makes users, ports and Call-IDs this case's own."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.agents: list[Agent] = []
        self.record = Record()
        self.normal = Normaliser()
        #: Users whose registrations are compared at the end, and INVITEs whose media sessions are.
        self.users: dict[str, None] = {}
        self.calls: list[Message] = []
        #: Whether keepalives are taken down once per receiver only.
        self.drop_repetitions = False
        self._kept_alive: set[str] = set()
        self._named: dict[tuple[str, int], Agent] = {}

    def agent(
        self, name: str, place: Place = OPEN, *, domain: str = DOMAIN, at: tuple[str, int] | None = None
    ) -> Agent:
        """A new agent, at an address of this case alone unless `at` names another (port 0: this case's)."""
        slot = len(self.agents)
        port = AGENT_PORTS[(self.number * _PORTS_PER_CASE + 2 * slot) % len(AGENT_PORTS)]
        # Addresses differ from case to case, as pike counts per address.
        number = 10 + (self.number * 4 + slot) % 240
        agent = Agent(self, name, place, number, (at[0], at[1] or port) if at else None, port, domain)
        self.agents.append(agent)
        self._named[agent.address] = agent
        return agent

    def settle(self) -> None:
        """Wait until the server has nothing more to do, and take down all that it sent."""
        streams = [agent for agent in self.agents if agent.is_stream]
        self._read(streams)
        for datagram in self.world.settle():
            self._take(datagram)
        self._read(streams)

    def watch(self, seconds: float) -> None:
        """Take down what the server does by itself for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(DeadlineError):
                self._take(self.world.capture.read(left, "something to happen"))
        self.settle()

    def note(self, section: str, text: str) -> None:
        """Add something to the record that is no message."""
        self.record.add(section, self.normal(text))

    def finish(self) -> Record:
        """End the case: what the server still knows of it goes into the record."""
        self.settle()
        for user in self.users:
            self.note(f"location of {user}", self._location(user))
        for invite in self.calls:
            if self.world.relay:
                call_id, tag = invite.header("Call-ID") or "", invite.tag("From") or ""
                left = self.world.relay.sessions_of(call_id, tag)
                self.note("media sessions left", f"{call_id}: {left}")
        if self.world.counts_dialogs:
            for dialog in self.world.rpc("dlgs.getall", "src", "re", f"-{self.number}@"):
                self.note("statistics of dialogs", _statistics(dialog))
        for line in self.world.new_log():
            accounted = _ACCOUNTED.search(line)
            if accounted and f"-{self.number}-" in line:
                self.note("accounting", _TIMESTAMP.sub("timestamp", accounted[0]).replace(";", ";\n"))
            if "Traceback" in line:
                self.note("exceptions", line)
        for agent in self.agents:
            agent.close()
        return self.record

    def _read(self, streams: list[Agent]) -> None:
        for agent in list(streams):
            messages, end = agent.read_stream()
            for data in messages:
                self._deliver(agent, str(agent), data)
            if end:
                self.record.add(str(agent), end)
                agent.is_stream = False
                streams.remove(agent)

    def _take(self, datagram: Datagram) -> None:
        name = _CALL_ID.search(datagram.data)
        if name and int(name[1]) != self.number:
            return  # the server has given up on something in an earlier case
        if datagram.target in (RTPPROXY_CONTROL, RTPENGINE_CONTROL):
            # The cookie in front is random.
            command = datagram.data.decode(errors="replace").partition(" ")[2]
            if not _GREETING.match(command) and not _LAUNCHER.match(command):
                self.note("the relay", command)
        elif datagram.source[0] == SERVER and datagram.target[0] not in (SERVER, "127.0.0.1"):
            agent = self._named.get(datagram.target)
            receiver = str(agent) if agent else "nobody at {}:{}".format(*datagram.target)
            receiver += (
                f" from port {datagram.source[1]}" if datagram.source[1] != self.world.options.port else ""
            )
            self._deliver(agent, receiver, datagram.data)

    def _deliver(self, agent: Agent | None, receiver: str, data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        if self.drop_repetitions and _KEEPALIVE.match(data):
            if receiver in self._kept_alive:
                return
            self._kept_alive.add(receiver)
        self.note(receiver, text.replace("\r\n", "\n"))
        if agent is not None and b"SIP/2.0" in data.partition(b"\r\n")[0]:
            agent.receive(Message.parse(data))

    def _location(self, user: str) -> str:
        try:
            found = self.world.rpc("ul.lookup", "location", user)
        except RpcError as error:
            return str(error).rpartition("error ")[2]
        return json.dumps(_stable(found), indent=1)


def _statistics(dialog: dict[str, Any]) -> str:
    """One dialog as module dlgs knows it, without moments."""
    who = "{src} to {dst}, {data}\nCall-ID: {callid}\ntag={ftag}\ntag={ttag}\nstate {state}".format(**dialog)
    return who + (", answered" if dialog["ts_answer"] else "")


def _stable(value: Any) -> Any:
    if isinstance(value, list):
        return [_stable(one) for one in value]
    if isinstance(value, dict):
        kept = {key: _stable(one) for key, one in value.items() if key not in _VOLATILE}
        if isinstance(kept.get("Expires"), int):
            kept["Expires"] = -(-kept["Expires"] // 10) * 10
        return kept
    return value
