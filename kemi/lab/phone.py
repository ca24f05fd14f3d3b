"""A phone: baresip in a namespace, with a password, a voice of one tone, and a record of its wire."""

import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kemi.deadline import wait_until
from kemi.lab import tones
from kemi.lab.baresip import Control, PhoneEvent
from kemi.lab.capture import Capture
from kemi.lab.errors import LabError
from kemi.lab.network import Host
from kemi.lab.process import Process
from kemi.lab.report.message import Message
from kemi.lab.result import Party

if TYPE_CHECKING:
    from kemi.lab.call import Call

PUBLIC = "public"
"""What stands for the NAT of a phone that is behind none."""

_CONTROL_PORT = 4444
_TONE_SECONDS = 120  # baresip does not start a file again: a longer call falls silent

_CONFIG = """\
sip_listen {address}:5060
audio_player none
audio_alert none
audio_source aufile,tone.wav
rtp_ports 10000-10999
ctrl_tcp_listen 127.0.0.1:{control}
module_path {modules}
module g711.so
module aufile.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
"""


@dataclass(frozen=True)
class Account:
    """How a phone logs in."""

    user: str
    domain: str
    password: str
    proxy: str
    """``address:port`` of the server that everything is sent to."""
    expires: int = 3600
    """Seconds asked for at registration. Between registrations the phone itself sends nothing."""
    transport: str = "udp"
    """``tcp``: one connection to the server, for everything in both directions."""

    @property
    def uri(self) -> str:
        return f"sip:{self.user}@{self.domain}"


class Phone:
    """A phone on `host`; `nat` names what it is behind, `public_address` is what the internet sees."""

    def __init__(
        self,
        host: Host,
        account: Account,
        folder: Path,
        tone_hz: int,
        nat: str = PUBLIC,
        public_address: str = "",
        auto_answer: bool = True,
    ) -> None:
        self.name = account.user
        self.host = host
        self.account = account
        self.tone_hz = tone_hz
        self.party = Party(account.user, nat, host.address, public_address or host.address)
        self._folder = folder
        self._tone = folder / "tone.wav"
        self._answermode = "auto" if auto_answer else "manual"
        self.capture = Capture(host, folder / f"{self.name}.pcap")
        self._configure()
        self._process = Process(
            f"phone {self.name}",
            ["baresip", "-4", "-f", "."],
            host.namespace,
            folder / "baresip.log",
            cwd=folder,  # baresip cuts the tone's path off after 128 characters: a relative one is short
        )
        self.control = wait_until(f"baresip of {self.name} to listen", self._connect, seconds=15)

    def __repr__(self) -> str:
        return f"Phone({self.name!r}, behind {self.party.nat})"

    def register(self, seconds: float = 10) -> None:
        """Log in and wait for the answer. Raises LabError when it is a refusal, DeadlineError when there is none."""
        since = self.mark()
        account = self.account
        outbound = f"sip:{account.proxy};transport={account.transport};lr"
        self.control.command(
            "uanew",
            f'<{account.uri}>;auth_pass={account.password};outbound="{outbound}"'
            f";regint={account.expires};answermode={self._answermode};audio_codecs=pcma,pcmu",
        )
        event = self.wait_for("REGISTER_OK", "REGISTER_FAIL", seconds=seconds, since=since)
        if event.kind == "REGISTER_FAIL":
            raise LabError(f"phone {self.name}: registration as {account.uri} refused: {event.param}")

    def unregister(self, seconds: float = 10) -> None:
        """Log out: a REGISTER with ``Expires: 0`` (RFC 3261, section 10.2.2). Raises DeadlineError without a 200."""
        began = time.time()
        self.control.command("uadel", self.account.uri)
        wait_until(
            f"the answer to the log-out of {self.account.uri}",
            lambda: any(reply.status == 200 for reply in self.received("REGISTER", since=began)),
            seconds,
        )

    def sent(self, method: str, since: float = 0) -> list[Message]:
        """The requests of that method, and the replies to such, that left this phone over UDP since ``time.time()``."""
        return [
            packet.message
            for packet in self.capture.sip(since)
            if packet.source.address == self.host.address and packet.message.method == method
        ]

    def received(self, method: str, since: float = 0) -> list[Message]:
        """The requests of that method, and the replies to such, that reached this phone over UDP."""
        return [
            packet.message
            for packet in self.capture.sip(since)
            if packet.destination.address == self.host.address and packet.message.method == method
        ]

    def call(self, other: "Phone") -> "Call":
        """Call another phone; returns at once."""
        from kemi.lab.call import Call

        return Call(self, other)

    def dial(self, uri: str) -> None:
        """Send an INVITE to `uri`."""
        self.control.command("dial", uri)

    def answer(self) -> None:
        """Answer the call that rings (200)."""
        self.control.command("accept")

    def hang_up(self) -> None:
        """End the call: BYE; CANCEL while the other side rings; 486 when it is this phone that rings."""
        self.control.command("hangup")

    def hold(self) -> None:
        """Put the call on hold: a re-INVITE with ``a=sendonly`` (RFC 3264, section 8.4)."""
        self.control.command("hold")

    def resume(self) -> None:
        """Go on with the call: a re-INVITE with ``a=sendrecv``."""
        self.control.command("resume")

    def reinvite(self) -> None:
        """Offer the session once more, unchanged (RFC 3261, section 14.1)."""
        self.control.command("reinvite")

    def mark(self) -> int:
        """A point in this phone's story, for `wait_for`."""
        return len(self.control.events)

    def wait_for(self, *kinds: str, seconds: float, since: int = 0) -> PhoneEvent:
        """The first event of one of these kinds after `since`. Raises DeadlineError with what came instead."""
        return self.control.wait_for(kinds, seconds, since)

    def record(self, path: Path) -> Capture:
        """Go on recording into another file; the earlier capture is complete."""
        earlier = self.capture
        self.capture = Capture(self.host, path)
        earlier.stop()
        return self.capture

    def stop(self) -> None:
        """Pull the plug: the phone says nothing any more, not even that it leaves."""
        self.control.close()
        self._process.kill()
        self.capture.stop()
        self._tone.unlink(missing_ok=True)

    def _configure(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        tones.write(self._tone, self.tone_hz, _TONE_SECONDS)
        text = _CONFIG.format(
            address=self.host.address,
            control=_CONTROL_PORT,
            modules=_module_folder(),
        )
        (self._folder / "config").write_text(text)
        (self._folder / "accounts").write_text("")

    def _connect(self) -> Control | None:
        self._process.require_running()
        with self.host.namespace.entered():
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.settimeout(1)
        try:
            connection.connect(("127.0.0.1", _CONTROL_PORT))
        except OSError:
            connection.close()
            return None
        return Control(self.name, connection)


def _module_folder() -> Path:
    places = [Path("/usr/lib/baresip/modules"), Path("/usr/local/lib/baresip/modules")]
    for place in places:
        if (place / "g711.so").exists():
            return place
    raise LabError(
        f"baresip's modules not found in {' or '.join(map(str, places))}; apt install baresip-core"
    )
