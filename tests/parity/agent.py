"""A scripted user agent: it sends what a case tells it to, and claims what its place says."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from kemi.testing.builders import REASONS, sdp
from kemi.testing.compose import ack_failure, complete, replace, same_transaction, sequence
from kemi.testing.dialog import record_route
from kemi.testing.digest import authorize
from kemi.testing.message import Message
from kemi.testing.uri import address_uri
from tests.parity.network import OTHER_PRIVATE, OTHER_PUBLIC, PRIVATE, PUBLIC, SERVER, TLS_PORT
from tests.parity.world import DOMAIN, ping

if TYPE_CHECKING:
    from tests.parity.scene import Scene

Headers = Mapping[str, str | None]
PASSWORD = "secret"
_STREAM_SECONDS = 1.0
_COPIED = ("via", "record-route", "from", "call-id", "cseq")
_WITH_CONTACT = ("INVITE", "REGISTER", "SUBSCRIBE", "OPTIONS", "UPDATE", "NOTIFY", "REFER")


@dataclass(frozen=True)
class Place:
    """Where an agent really is, and what it says about that in Via, Contact and SDP."""

    real: Literal["public", "private"] = "public"
    host: Literal["same", "private", "other"] = "same"
    port: Literal["same", "other"] = "same"
    media: Literal["same", "private", "public"] = "same"
    transport: Literal["udp", "tcp", "tls"] = "udp"

    def __str__(self) -> str:
        text = f"{self.real} says {self.host} host {self.port} port"
        return text + (f" {self.media} media" if self.media != "same" else "") + f" {self.transport}"


#: The usual phone behind a NAT, a phone with a public address, and one in the server's own private network.
NATED = Place("public", "private", "other", "private")
OPEN = Place()
INSIDE = Place("private")


@dataclass
class Dialog:
    """One side of a dialog (RFC 3261, section 12)."""

    call_id: str
    local: str
    remote: str
    target: str
    route: list[str] = field(default_factory=list)
    cseq: int = 1


class Agent:
    """One user with one socket. A message that needs another one, which has not come, is not sent."""

    def __init__(
        self,
        scene: Scene,
        name: str,
        place: Place,
        number: int,
        address: tuple[str, int] | None,
        port: int,
        domain: str = DOMAIN,
    ) -> None:
        self.scene = scene
        self.name = name
        self.place = place
        self.domain = domain
        self.user = f"{name}-{scene.number}"
        self.address = address or ((PUBLIC if place.real == "public" else PRIVATE) + str(number), port)
        port = self.address[1]
        self.host = {
            "same": self.address[0],
            "private": f"{OTHER_PRIVATE}{number}",
            "other": f"{OTHER_PUBLIC}{number}",
        }[place.host]
        self.port = port if place.port == "same" else port + 1
        self.media = {
            "same": self.address[0],
            "private": f"{OTHER_PRIVATE}{number}",
            "public": f"{OTHER_PUBLIC}{number}",
        }[place.media]
        self.inbox: list[Message] = []
        self.dialogs: dict[str, Dialog] = {}
        self._invites: dict[str, Message] = {}
        self._serial = 0
        self._stream = b""
        self.is_stream = place.transport != "udp"
        kind = socket.SOCK_STREAM if self.is_stream else socket.SOCK_DGRAM
        self._socket: socket.socket = scene.world.socket(self.address, kind)
        self._socket.settimeout(_STREAM_SECONDS)
        if self.is_stream:
            # Else each message would wait for the acknowledgement of the one before.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.connect((SERVER, TLS_PORT if place.transport == "tls" else scene.world.options.port))
        if place.transport == "tls":
            context = ssl.create_default_context(cafile=scene.world.certificate)
            self._socket = context.wrap_socket(self._socket, server_hostname=DOMAIN)

    def __str__(self) -> str:
        return f"{self.name} at {self.address[0]}:{self.address[1]} {self.place.transport}"

    def close(self) -> None:
        self._socket.close()

    # -- what it says of itself

    @property
    def uri(self) -> str:
        return f"sip:{self.user}@{self.domain}"

    @property
    def call_id(self) -> str:
        """A Call-ID to use again: all REGISTERs of a phone have the same (RFC 3261, section 10.2.4)."""
        return f"{self.name}-{self.scene.number}-0@parity"

    @property
    def contact(self) -> str:
        transport = f";transport={self.place.transport}" if self.is_stream else ""
        return f"<sip:{self.user}@{self.host}:{self.port}{transport}>"

    @property
    def offer(self) -> str:
        """An SDP body with the media address that its place says."""
        return sdp(self.media)

    def via(self) -> str:
        """A Via with a new branch."""
        branch = f"z9hG4bK-{self._serialize()}"
        return f"SIP/2.0/{self.place.transport.upper()} {self.host}:{self.port};rport;branch={branch}"

    def _serialize(self) -> str:
        self._serial += 1
        return f"{self.name}-{self.scene.number}-{self._serial}"

    # -- sending

    def raw(self, data: bytes) -> None:
        """Send these bytes, and let the server do what it will about them."""
        self.scene.normal.note_sent(data.decode(errors="surrogateescape"))
        # The server may have closed the connection, which is in the record already.
        with contextlib.suppress(ConnectionError, BrokenPipeError):
            if self.is_stream:
                self._socket.sendall(data)
            else:
                self._socket.sendto(data, (SERVER, self.scene.world.options.port))
        self.scene.settle()

    def send(self, message: Message) -> Message:
        self.raw(bytes(message))
        return message

    def request(
        self, method: str, uri: str, *, to: str = "", body: str = "", headers: Headers | None = None
    ) -> Message:
        """A request outside any dialog, not sent yet. `headers` are added or replaced; None takes one out."""
        serial = self._serialize()
        message = Message(method, uri)
        message.headers = [
            ("Via", self.via()),
            ("Max-Forwards", "70"),
            ("From", f"<{self.uri}>;tag=from-{serial}"),
            ("To", f"<{to or (self.uri if method == 'REGISTER' else uri)}>"),
            ("Call-ID", f"{serial}@parity"),
            ("CSeq", f"1 {method}"),
        ]
        if method in _WITH_CONTACT:
            message.headers.append(("Contact", self.contact))
        return complete(message, body, headers)

    def ask(
        self, method: str, uri: str, *, to: str = "", body: str = "", headers: Headers | None = None
    ) -> Message:
        """Send a request outside any dialog."""
        return self.send(self.request(method, uri, to=to, body=body, headers=headers))

    def register(self, expires: int = 600, *, headers: Headers | None = None, login: bool = True) -> Message:
        """REGISTER the agent's contact, answering a challenge."""
        more = {"Expires": str(expires), **(headers or {})}
        self.scene.users.setdefault(self.user)
        sent = self.ask("REGISTER", f"sip:{self.domain}", headers=more)
        return self.login(sent) if login else sent

    def invite(
        self, to: Agent | str, *, body: str | None = None, headers: Headers | None = None, login: bool = True
    ) -> Message:
        """Send an INVITE, with an offer unless `body` says otherwise, answering a challenge."""
        uri = to.uri if isinstance(to, Agent) else to
        sent = self.ask("INVITE", uri, body=self.offer if body is None else body, headers=headers)
        self.scene.calls.append(sent)
        return self.login(sent) if login else sent

    def login(self, request: Message, password: str = PASSWORD) -> Message:
        """Repeat a request that was challenged, with credentials; what was sent last."""
        answer = self.answer(request)
        if answer is None or answer.status not in (401, 407):
            return request
        again = self.with_login(request, answer, password)
        return self.send(again)

    def with_login(self, request: Message, challenge: Message, password: str = PASSWORD) -> Message:
        """The request with an answer to the challenge; an INVITE's failure is acknowledged first."""
        if request.method == "INVITE":
            self.send(ack_failure(request, challenge))
        again = authorize(request, challenge, self.user, password)
        return replace(again, "Via", self.via())

    def cancel(self, invite: Message) -> Message:
        """Send the CANCEL of an INVITE (RFC 3261, section 9.1)."""
        return self.send(same_transaction(invite, "CANCEL", invite.header("To") or ""))

    def ack(self, invite: Message, *, body: str = "") -> None:
        """Acknowledge the final reply to an INVITE, if there is one."""
        answer = self.answer(invite)
        if answer is None:
            return
        if answer.status >= 300:
            self.send(ack_failure(invite, answer))
        elif dialog := self.dialogs.get(answer.header("Call-ID") or ""):
            self.send(self._in_dialog(dialog, "ACK", body, {"CSeq": f"{sequence(invite)} ACK"}))

    def within(self, method: str, *, body: str = "", headers: Headers | None = None) -> Message | None:
        """Send a request in the dialog that was formed last; None without one."""
        dialog = next(reversed(self.dialogs.values()), None)
        if dialog is None:
            return None
        if method != "ACK":
            dialog.cseq += 1
        message = self._in_dialog(dialog, method, body, headers)
        return self.send(message)

    def _in_dialog(self, dialog: Dialog, method: str, body: str, headers: Headers | None) -> Message:
        message = Message(method, dialog.target)
        message.headers = [
            ("Via", self.via()),
            ("Max-Forwards", "70"),
            *(("Route", hop) for hop in dialog.route),
            ("From", dialog.local),
            ("To", dialog.remote),
            ("Call-ID", dialog.call_id),
            ("CSeq", f"{dialog.cseq} {method}"),
        ]
        if method in _WITH_CONTACT:
            message.headers.append(("Contact", self.contact))
        return complete(message, body, headers)

    # -- receiving

    def receive(self, message: Message) -> None:
        """Take a message from the wire."""
        self.inbox.append(message)
        call_id = message.header("Call-ID") or ""
        forms_dialog = message.method in ("INVITE", "SUBSCRIBE") and 100 < message.status < 300
        known = self.dialogs.get(call_id)
        # A phone that answers takes the place of another one that was ringing.
        if forms_dialog and (
            known is None or (message.status >= 200 and known.remote != message.header("To"))
        ):
            self.dialogs[call_id] = Dialog(
                call_id,
                message.header("From") or "",
                message.header("To") or "",
                address_uri(message.header("Contact") or ""),
                record_route(message)[::-1],
                sequence(message),
            )

    def answer(self, request: Message | None) -> Message | None:
        """The last final reply to a request, None if there is none."""
        if request is None:
            return None
        for message in reversed(self.inbox):
            same = all(message.header(name) == request.header(name) for name in ("Call-ID", "CSeq"))
            if message.status >= 200 and same:
                return message
        return None

    def got(self, method: str) -> Message | None:
        """The last request with this method, None if there is none."""
        return next((one for one in reversed(self.inbox) if not one.is_reply and one.method == method), None)

    def reply(
        self, method: str, status: int, *, body: str = "", headers: Headers | None = None, tag: str = ""
    ) -> Message | None:
        """Answer the last request with this method; None without one."""
        request = self.got(method)
        if request is None:
            return None
        answer = Message(method, status=status, reason=REASONS.get(status, "Whatever"))
        answer.headers = [pair for pair in request.headers if pair[0].lower() in _COPIED]
        to = request.header("To") or ""
        if status > 100 and ";tag=" not in to:
            to = f"{to};tag=to-{tag or self.name}-{self.scene.number}"
        answer.headers.append(("To", to))
        if method in ("INVITE", "SUBSCRIBE", "UPDATE") and 100 < status < 400:
            answer.headers.append(("Contact", self.contact))
        complete(answer, body, headers)
        call_id = request.header("Call-ID") or ""
        if method in ("INVITE", "SUBSCRIBE") and 100 < status < 300 and call_id not in self.dialogs:
            self.dialogs[call_id] = Dialog(
                call_id,
                to,
                request.header("From") or "",
                address_uri(request.header("Contact") or ""),
                record_route(request),
            )
        return self.send(answer)

    # -- the stream of a TCP connection

    def browse(self, data: bytes) -> None:
        """Send an HTTP request, and take down what comes until the server closes the connection."""
        self.scene.normal.note_sent(data.decode(errors="surrogateescape"))
        self._socket.sendall(data)
        answer, end = b"", "connection closed"
        try:
            while part := self._socket.recv(65536):
                answer += part
        except TimeoutError:
            end = "connection left open"
        except ConnectionResetError:
            end = "connection reset"
        self.is_stream = False
        self.scene.note(str(self), answer.decode(errors="surrogateescape").replace("\r\n", "\n"))
        self.scene.note(str(self), end)

    def read_stream(self) -> tuple[list[bytes], str]:
        """All messages that the server has sent over TCP up to now; how the connection ended, "" while it stands."""
        name = f"mark-{self._serialize()}"
        found: list[bytes] = []
        try:
            self._socket.sendall(ping(name, self.place.transport.upper(), *self.address))
            while True:
                data = self._next_on_stream()
                if f"Call-ID: {name}\r\n".encode() in data:
                    return found, ""
                found.append(data)
        except TimeoutError:
            # It waits for the rest of a message that was longer by its Content-Length than it was.
            return found, "connection stuck"
        except (ConnectionError, ssl.SSLError):
            return found, "connection closed"

    def _next_on_stream(self) -> bytes:
        while True:
            self._stream = self._stream.lstrip(b"\r\n")
            head, end, rest = self._stream.partition(b"\r\n\r\n")
            length = re.search(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)", head)
            size = int(length[1]) if length else 0
            if end and len(rest) >= size:
                self._stream = rest[size:]
                return head + end + rest[:size]
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("closed by the server")
            self._stream += data
