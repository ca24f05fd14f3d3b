"""Work with two parties, both behind a NAT: complete calls through the relay, and requests within a call."""

from __future__ import annotations

import socket
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable

from bench.batch import phone_socket
from bench.messages import CALLEE, CALLEE_TAG, CALLER, DOMAIN, SDP, header, request, response
from bench.server import Server
from bench.workload import LOOK_EVERY, Workload, numbers

CALLEE_ADDRESS = "127.0.0.3"
CALLEES = 100
_AT_A_TIME = 24


class TwoParties(Workload):
    """Callees are registered from one address; what comes is handled as it comes."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        # Also of earlier rounds: what is repeated may come late.
        self._met: set[bytes] = set()
        self.callee = phone_socket(CALLEE_ADDRESS, (server.address, server.port), self.patience)
        for number in range(CALLEES):
            headers = "Expires: 3600\r\n"
            name = callee(number)
            self.callee.send(
                request(
                    "REGISTER", f"sip:{DOMAIN}", next(numbers), user=name, address=CALLEE, headers=headers
                )
            )
            try:
                answer = self.callee.recv(65535)
            except BlockingIOError:
                raise self.missing(f"an answer to the REGISTER of {name}") from None
            self.check({"200": 1}, Counter([answer[8:11].decode()]))

    def close(self) -> None:
        self.callee.close()
        super().close()

    def prepare(self, count: int) -> None:
        self.units = count

    def play(self) -> None:
        self.begun = self.done = 0
        #: Messages by what they are, as the phones saw them.
        self.seen: Counter[str] = Counter()
        last = time.monotonic()
        while self.done < self.units:
            while self.begun < self.units and self.begun - self.done < _AT_A_TIME:
                self.begun += 1
                self.begin()
            time.sleep(LOOK_EVERY)
            came = self._drain(self.phone, self.at_caller) + self._drain(self.callee, self.at_callee)
            if came:
                last = time.monotonic()
            elif time.monotonic() > last + self.patience:
                raise self.missing(f"the end of {self.begun - self.done} {self.unit}s (so far {self.seen})")
        self.check(self.expected(), self.seen)

    def _drain(self, opened: socket.socket, handle: Callable[[bytes], None]) -> int:
        """Handle all messages that are there; how many."""
        number = 0
        while True:
            try:
                data = opened.recv(65535, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return number
            number += 1
            # On a slow machine Kamailio repeats what was not answered within 0.5 s; the answer is on its way.
            key = data[: data.index(b"\r\n")] + header(data, b"Call-ID") + header(data, b"CSeq")
            if key not in self._met:
                self._met.add(key)
                handle(data)

    @abstractmethod
    def begin(self) -> None:
        """Send the first request of a unit."""

    @abstractmethod
    def at_caller(self, data: bytes) -> None:
        """A message came to the caller; adds to `done` with the last one of a unit."""

    @abstractmethod
    def at_callee(self, data: bytes) -> None:
        """A message came to the callee."""

    @abstractmethod
    def expected(self) -> dict[str, int]:
        """What must have been seen after all units."""


class Call(TwoParties):
    """INVITE, 180, 200, ACK, BYE, 200: six messages to the server."""

    title = "call through the relay"
    unit = "call"

    def begin(self) -> None:
        number = next(numbers)
        name = callee(number)
        self.phone.send(
            request("INVITE", uri_of(name), number, user="alice", to=f"<{uri_of(name)}>", body=SDP)
        )

    def at_caller(self, data: bytes) -> None:
        status = data[8:11].decode()
        method = header(data, b"CSeq").rpartition(b" ")[2].decode()
        if status == "100":
            return
        self.seen[f"{status} {method}"] += 1
        if status != "200":
            return
        if method == "BYE":
            self.done += 1
            return
        for name, cseq in (("ACK", 1), ("BYE", 2)):
            self.phone.send(in_dialog(name, data, cseq))

    def at_callee(self, data: bytes) -> None:
        method = data[: data.index(b" ")].decode()
        self.seen[method] += 1
        if method == "INVITE":
            contact = contact_of(data)
            self.callee.send(response("180 Ringing", data, contact=contact))
            self.callee.send(response("200 OK", data, contact=contact, body=SDP))
        elif method == "BYE":
            self.callee.send(response("200 OK", data))

    def expected(self) -> dict[str, int]:
        kinds = ("INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE")
        return dict.fromkeys(kinds, self.units)


class InDialog(TwoParties):
    """INFO within a call, to the callee's Contact with ``;alias=``, and its 200: two messages to the server."""

    title = "INFO within a call"

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        name = callee(0)
        number = next(numbers)
        self.phone.send(
            request("INVITE", uri_of(name), number, user="alice", to=f"<{uri_of(name)}>", body=SDP)
        )
        invite = self.callee.recv(65535)
        self.callee.send(response("200 OK", invite, contact=contact_of(invite), body=SDP))
        while not (answer := self.receive("the 200 of a call")).startswith(b"SIP/2.0 200"):
            self.check({"100": 1}, Counter([answer[8:11].decode()]))
        self._accepted = answer
        self.phone.send(in_dialog("ACK", answer, 1))
        ack = self.callee.recv(65535)
        self.check({"ACK": 1}, Counter([ack[: ack.index(b" ")].decode()]))
        if b";alias=" not in header(answer, b"Contact"):
            raise ValueError(
                f"{self.server.name}: expected ;alias= in the callee's Contact, found {answer!r}"
            )
        self._cseq = 1

    def begin(self) -> None:
        self._cseq += 1
        self.phone.send(in_dialog("INFO", self._accepted, self._cseq))

    def at_caller(self, data: bytes) -> None:
        self.seen[data[8:11].decode()] += 1
        self.done += 1

    def at_callee(self, data: bytes) -> None:
        self.seen[data[: data.index(b" ")].decode()] += 1
        self.callee.send(response("200 OK", data))

    def expected(self) -> dict[str, int]:
        return {"INFO": self.units, "200": self.units}


def callee(number: int) -> str:
    return f"callee{number % CALLEES}"


def uri_of(name: str) -> str:
    return f"sip:{name}@{DOMAIN}"


def contact_of(invite: bytes) -> str:
    """The callee's Contact, as it was registered."""
    return invite[invite.index(b" ") + 1 : invite.index(b" SIP/2.0")].decode()


def in_dialog(method: str, accepted: bytes, cseq: int) -> bytes:
    """The caller's request after the 200 of an INVITE: to its Contact, along the recorded route."""
    contact = header(accepted, b"Contact")
    uri = contact[contact.index(b"<") + 1 : contact.index(b">")].decode()
    name = uri[4 : uri.index("@")]
    return request(
        method,
        uri,
        next(numbers),
        user="alice",
        to=f"<{uri_of(name)}>;tag={CALLEE_TAG.decode()}",
        headers=f"Route: {header(accepted, b'Record-Route').decode()}\r\n",
        call=header(accepted, b"Call-ID").decode(),
        cseq=cseq,
        address=CALLER,
    )
