"""Phones with a phone's patience: what got no answer over UDP is sent again, as RFC 3261 (section 17) says.

So a message that a server lost because it was killed costs time, and is lost only if it cannot be made good.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from kemi.deadline import DeadlineError
from kemi.testing.builders import sdp
from kemi.testing.client import Client
from kemi.testing.compose import ack_failure
from kemi.testing.dialog import Dialog
from kemi.testing.digest import authorize
from kemi.testing.message import Message
from tests.compose.stack import KAMAILIO, Stack

PASSWORD = "correct-horse"
PATIENCE = 32.0
"""Seconds until a phone gives up: 64 times T1, the timers B, F and H."""

_T1, _T2 = 0.5, 4.0
_LOOK_SECONDS = 0.2
_NAT_INSIDE = "192.168.77.7"


@dataclass(frozen=True)
class Target:
    """Where a phone sends to."""

    address: str = KAMAILIO
    port: int = 5060


class RefusedError(Exception):
    """The server, or the callee, answered with a failure; the text is its status."""


def phone(
    stack: Stack, user: str, address: str, *, server: Target = Target(), inside: str = _NAT_INSIDE
) -> Client:
    """A phone on the network of the containers; what it writes into Contact and SDP is its address behind a NAT.

    With `inside` "" it is behind none.
    """
    with stack.engine.namespace.entered():
        return Client(
            server,
            user,
            address=address,
            domain=stack.env["SIP_DOMAIN"],
            contact_host=inside,
            contact_port=5060 if inside else 0,
        )


class _Repeated:
    """A message that was sent and is sent again until :meth:`stop` (timers A, E, and G for the 200 to an INVITE)."""

    def __init__(self, client: Client, message: Message) -> None:
        self._client = client
        self._message = message
        self._longest = PATIENCE if message.method == "INVITE" and not message.is_reply else _T2
        self._interval = _T1
        self._due = time.monotonic() + _T1

    @property
    def seconds(self) -> float:
        """Until it is due."""
        return max(self._due - time.monotonic(), 0.001)

    def repeat_if_due(self) -> None:
        if time.monotonic() >= self._due:
            self._client.send(self._message)
            self._interval = min(2 * self._interval, self._longest)
            self._due = time.monotonic() + self._interval

    def stop(self) -> None:
        self._due = float("inf")


def ask(client: Client, request: Message, seconds: float = PATIENCE) -> Message:
    """Send a request outside any dialog; its final reply. A failed INVITE gets its ACK."""
    client.send(request)
    repeated = _Repeated(client, request)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            message = client.receive(min(repeated.seconds, left))
        except DeadlineError:
            repeated.repeat_if_due()
            continue
        if _is_keepalive(client, message) or not _answers(message, request):
            continue
        if message.status < 200:
            repeated.stop()
            continue
        if request.method == "INVITE" and message.status >= 300:
            client.send(ack_failure(request, message))
        return message
    raise DeadlineError(f"{client.name} waited {seconds:g} s for the final reply to {request.method}")


def register(
    client: Client,
    password: str = PASSWORD,
    *,
    expires: int = 3600,
    seconds: float = PATIENCE,
    **headers: str,
) -> Message:
    """The answer to a REGISTER with the password; each request waits so many seconds for its own."""
    request = client.request("REGISTER", f"sip:{client.domain}", headers={"Expires": str(expires), **headers})
    answer = ask(client, request, seconds)
    # Twice: a server that has started anew in between does not know the nonce any more (RFC 2617, section 3.3).
    for _ in range(2):
        if answer.status != 401:
            break
        request = authorize(request, answer, client.user, password)
        answer = ask(client, request, seconds)
    return answer


def invitation(caller: Client, callee: str, seconds: float = PATIENCE) -> Message:
    """An INVITE to a URI, with the digest that the server asks for; not sent yet.

    Raises RefusedError when the server answers with anything but a challenge.
    """
    first = caller.request("INVITE", callee, body=sdp(caller.contact_host))
    answer = ask(caller, first, seconds)
    if answer.status != 407:
        raise RefusedError(str(answer.status))
    return authorize(first, answer, caller.user, PASSWORD)


class Call:
    """A call that is up. Each side repeats what has no answer yet, and answers again what comes again."""

    def __init__(self, caller: Client, callee: Client, invite: Message) -> None:
        """Send the INVITE, and go on until its ACK has arrived.

        Raises RefusedError for a failure, DeadlineError for silence.
        """
        self._call_id = invite.header("Call-ID")
        self._invite = invite
        self._ack: Message | None = None
        self._caller = caller
        caller.send(invite)
        self._inviting = _Repeated(caller, invite)
        self.offered = self._expect(callee, "INVITE", 0, self._inviting)
        sent = callee.reply(self.offered, 200, body=_answer(callee, self.offered))
        repeated = _Repeated(callee, sent)
        self.accepted = self._expect(caller, "INVITE", 200, repeated)
        self.calling = Dialog.of_caller(caller, invite, self.accepted)
        self.called = Dialog.of_callee(callee, self.offered, sent)
        self._ack = self.calling.send("ACK")
        self._expect(callee, "ACK", 0, repeated)

    def hang_up(self) -> None:
        """BYE from the callee, and its 200."""
        repeated = _Repeated(self.called.client, self.called.send("BYE"))
        self._caller.reply(self._expect(self._caller, "BYE", 0, repeated), 200)
        self._expect(self.called.client, "BYE", 200, repeated)

    def _expect(self, client: Client, method: str, status: int, repeated: _Repeated) -> Message:
        """The request, or the reply to one, of this call; whatever else comes is passed over."""
        end = time.monotonic() + PATIENCE
        while (left := end - time.monotonic()) > 0:
            repeated.repeat_if_due()
            if client is not self._caller:
                for message in self._caller.unread():
                    self._caller_hears(message)
            try:
                message = client.receive(min(left, _LOOK_SECONDS))
            except DeadlineError:
                continue
            if self._is_ours(message) and (message.method, message.status) == (method, status):
                return message
            if client is self._caller:
                self._caller_hears(message)
            else:
                _is_keepalive(client, message)
        raise DeadlineError(f"{client.name} waited {PATIENCE:g} s for {status or ''} {method}")

    def _caller_hears(self, message: Message) -> None:
        """What the caller does about a message that it does not wait for."""
        if _is_keepalive(self._caller, message) or not self._is_ours(message):
            return
        if message.method == "BYE" and not message.is_reply:
            self._caller.reply(message, 200)
        elif not _answers(message, self._invite):
            return
        elif message.status >= 300:
            self._caller.send(ack_failure(self._invite, message))
            raise RefusedError(str(message.status))
        elif self._ack is not None:
            self._caller.send(self._ack)
        elif message.status < 200:
            self._inviting.stop()

    def _is_ours(self, message: Message) -> bool:
        return message.header("Call-ID") == self._call_id


def _answer(callee: Client, offer: Message) -> str:
    return sdp(callee.contact_host) if offer.body else ""


def _answers(message: Message, request: Message) -> bool:
    return message.is_reply and all(
        message.header(name) == request.header(name) for name in ("Call-ID", "CSeq")
    )


def _is_keepalive(client: Client, message: Message) -> bool:
    """Is it an OPTIONS that keeps the NAT's hole open? Then it is answered."""
    if message.method != "OPTIONS" or message.is_reply:
        return False
    client.reply(message, 200)
    return True
