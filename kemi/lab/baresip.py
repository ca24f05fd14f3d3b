"""baresip's control connection: commands with answers, and the events that it tells (module ctrl_tcp)."""

import contextlib
import itertools
import json
import socket
import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from kemi.deadline import DeadlineError
from kemi.lab import netstring
from kemi.lab.errors import LabError

_ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class PhoneEvent:
    """Something that baresip told: ``REGISTER_OK``, ``CALL_ESTABLISHED``, ``CALL_CLOSED`` ..."""

    kind: str
    param: str
    """Details in baresip's words: the reply code of a closed call, the peer's URI ..."""
    call_id: str


class Control:
    """The connection; events are kept from the first one on, and may be awaited by any thread."""

    def __init__(self, name: str, connection: socket.socket) -> None:
        self.name = name
        self._connection = connection
        self._connection.settimeout(None)
        self._events: list[PhoneEvent] = []
        self._answers: dict[str, dict[str, Any]] = {}
        self._tokens = itertools.count(1)
        self._changed = threading.Condition()
        self._closed = False
        threading.Thread(target=self._read, name=f"events of {name}", daemon=True).start()

    @property
    def events(self) -> tuple[PhoneEvent, ...]:
        """All events so far."""
        with self._changed:
            return tuple(self._events)

    def command(self, command: str, params: str = "") -> str:
        """Give a command and return what baresip says to it. Raises LabError when it refuses."""
        token = str(next(self._tokens))
        text = json.dumps({"command": command, "params": params, "token": token})
        self._connection.sendall(netstring.encode(text.encode()))
        with self._changed:
            arrived = self._changed.wait_for(lambda: token in self._answers or self._closed, _ANSWER_SECONDS)
            answer = self._answers.pop(token, None)
        if not arrived or answer is None:
            raise LabError(f"phone {self.name}: no answer to {command!r} within {_ANSWER_SECONDS:g} s")
        if not answer["ok"]:
            raise LabError(f"phone {self.name}: {command} {params}: {answer['data']}".rstrip())
        return str(answer["data"])

    def wait_for(self, kinds: Collection[str], seconds: float, since: int = 0) -> PhoneEvent:
        """The first event of one of `kinds` after the first `since` events. Raises DeadlineError after `seconds`."""

        def found() -> PhoneEvent | None:
            return next((event for event in self._events[since:] if event.kind in kinds), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._closed, seconds)
            event = found()
            seen = (
                ", ".join(f"{event.kind} {event.param}".strip() for event in self._events[since:])
                or "nothing"
            )
        if event is None:
            waited = "baresip ended while it was asked" if self._closed else f"waited {seconds:g} s"
            raise DeadlineError(f"phone {self.name}: {waited} for {' or '.join(kinds)}, found {seen}")
        return event

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _read(self) -> None:
        reader = netstring.Reader()
        with contextlib.suppress(OSError):
            while data := self._connection.recv(65536):
                for text in reader.feed(data):
                    self._note(json.loads(text.decode(errors="replace")))
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _note(self, said: dict[str, Any]) -> None:
        with self._changed:
            if said.get("response"):
                self._answers[said["token"]] = said
            else:
                event = PhoneEvent(said.get("type", ""), said.get("param", ""), said.get("id", ""))
                self._events.append(event)
            self._changed.notify_all()
