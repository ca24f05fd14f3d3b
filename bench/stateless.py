"""What the server answers, or leaves unanswered, by itself."""

from __future__ import annotations

from collections import Counter

from bench.batch import Outbox
from bench.digest import Credentials
from bench.messages import DOMAIN, request
from bench.workload import Requests, Workload, numbers

USERS = 1000
SERVER_URI = f"sip:{DOMAIN}"
_EXPIRES = "Expires: 3600\r\n"


def user(number: int) -> str:
    """One of the users."""
    return f"user{number % USERS}"


class Options(Requests):
    """The keepalive of a phone."""

    title = "OPTIONS keepalive"

    def message(self, number: int) -> bytes:
        return request("OPTIONS", SERVER_URI, number, user=user(number), to=f"<{SERVER_URI}>")


class Unknown(Requests):
    """A request to a user who is not registered."""

    title = "404 for an unknown user"
    status = "404"

    def message(self, number: int) -> bytes:
        uri = f"sip:nobody{number % USERS}@{DOMAIN}"
        return request("MESSAGE", uri, number, user=user(number), to=f"<{uri}>")


class Register(Requests):
    """A phone refreshes its registration."""

    title = "REGISTER behind a NAT"

    def message(self, number: int) -> bytes:
        return request("REGISTER", SERVER_URI, number, user=user(number), headers=_EXPIRES)


class Challenge(Register):
    """A phone registers for the first time: it has no nonce yet."""

    title = "REGISTER, challenged"
    status = "401"


class RegisterWithDigest(Requests):
    """A phone refreshes its registration with the nonce of an earlier challenge, as phones do."""

    title = "REGISTER with digest"

    def prepare(self, count: int) -> None:
        number = next(numbers)
        challenge = self.ask(request("REGISTER", SERVER_URI, number, user=user(number), headers=_EXPIRES))
        self._credentials = Credentials(challenge, "REGISTER", SERVER_URI)
        super().prepare(count)

    def message(self, number: int) -> bytes:
        who = user(number)
        headers = f"{_EXPIRES}{self._credentials.line(who)}"
        return request("REGISTER", SERVER_URI, number, user=who, headers=headers)


class Scanner(Workload):
    """An attack tool's OPTIONS, which get no answer at all."""

    title = "OPTIONS flood of a scanner"
    # As nothing comes back, a keepalive after each so many shows that the server has read them. It is counted as one.
    # Two such groups must fit into the receive buffer of its socket (net.core.rmem_default).
    _FLOOD = 31

    def prepare(self, count: int) -> None:
        self._groups = max(1, count // (self._FLOOD + 1))
        self.units = self._groups * (self._FLOOD + 1)
        datagrams: list[bytes] = []
        for _ in range(self._groups):
            datagrams += [self._probe() for _ in range(self._FLOOD)]
            datagrams.append(
                request("OPTIONS", SERVER_URI, next(numbers), user="fence", to=f"<{SERVER_URI}>")
            )
        self._outbox = Outbox(self.phone, datagrams)

    def _probe(self) -> bytes:
        number = next(numbers)
        uri = f"sip:{number % 10000}@{DOMAIN}"
        return request("OPTIONS", uri, number, user="100", to=f"<{uri}>", agent="friendly-scanner")

    def play(self) -> None:
        answers: Counter[str] = Counter()
        self._send_group()
        for _ in range(self._groups):
            # One group is on its way while the server works at the one before.
            self._send_group()
            answer = self.receive("an answer to the keepalive after the flood")
            answers[f"{answer[8:11].decode()}{'' if b'sip:fence@' in answer else ' to a scanner'}"] += 1
        self.check({"200": self._groups}, answers)

    def _send_group(self) -> None:
        left = min(self._FLOOD + 1, self._outbox.left)
        while left:
            left -= self._outbox.send(left)
