"""A phone that registers, answers, and calls another one now and then; it says what it heard.

baresip does the telephony. Each phone speaks one tone, and looks for the other's in what its decoder wrote down.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import privileges
import sound

from kemi.deadline import DeadlineError, wait_until
from kemi.lab.baresip import Control
from kemi.lab.errors import LabError

FOLDER = Path("/tmp/phone")
REGISTERED = Path("/tmp/registered")
PASSWORD = Path("/run/secrets/phone_password")

_CONTROL_PORT = 4444
_TONE_SECONDS = 120
_TALK_SECONDS = 5.0
_RING_SECONDS = 15.0
_CLOSE_SECONDS = 2.0
_MODULES = "/usr/lib/baresip/modules"
_CONFIG = f"""\
sip_listen 0.0.0.0:5060
audio_player none
audio_alert none
audio_source aufile,tone.wav
statmode_default off
rtp_ports 10000-10999
snd_path {FOLDER}/heard
ctrl_tcp_listen 127.0.0.1:{_CONTROL_PORT}
module_path {_MODULES}
module g711.so
module aufile.so
module sndfile.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
"""


class HomePhone:
    """The phone of `name`; `peer` is whom it calls, `peer_hertz` how that one sounds."""

    def __init__(self, name: str, peer: str, hertz: int, peer_hertz: int) -> None:
        self.name = name
        self.peer = peer
        self.peer_hertz = peer_hertz
        (FOLDER / "heard").mkdir(parents=True, exist_ok=True)
        (FOLDER / "config").write_text(_CONFIG)
        (FOLDER / "accounts").write_text("")
        sound.write_tone(FOLDER / "tone.wav", hertz, _TONE_SECONDS)
        with (FOLDER / "baresip.log").open("wb") as log:
            # baresip ends when its standard input closes.
            self._process = subprocess.Popen(
                ["baresip", "-4", "-f", "."], cwd=FOLDER, stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        self._control = wait_until("baresip to listen", self._connect, seconds=15)

    def register(self, domain: str, proxy: str) -> None:
        """Register, again and again until it is accepted."""
        outbound = f"sip:{proxy};transport=udp;lr"
        self._control.command(
            "uanew",
            f"<sip:{self.name}@{domain}>;auth_pass={PASSWORD.read_text()}"
            f';outbound="{outbound}";regint=600;answermode=auto;audio_codecs=pcma',
        )
        while not REGISTERED.exists():
            event = self._control.wait_for(("REGISTER_OK", "REGISTER_FAIL"), 60, since=self._seen())
            if event.kind == "REGISTER_OK":
                REGISTERED.touch()
            self.say("registered" if event.kind == "REGISTER_OK" else f"not registered: {event.param}")

    def serve(self, first: float, every: float) -> None:
        """Call the other phone, first after `first` seconds, then every so many, by turns; say what each call was."""
        start = time.monotonic() + first
        while True:
            since = self._seen()
            try:
                self._control.wait_for(("CALL_ESTABLISHED",), max(start - time.monotonic(), 0.01), since)
            except DeadlineError:
                self._call()
                start = time.monotonic() + every
            else:
                self._listen(since, f"{self.peer} called")
                start = time.monotonic() + every / 2

    def _call(self) -> None:
        since = self._seen()
        try:
            self._control.command("dial", self.peer)
            event = self._control.wait_for(("CALL_ESTABLISHED", "CALL_CLOSED"), _RING_SECONDS, since)
        except (LabError, DeadlineError) as error:
            self.say(f"no call to {self.peer}: {error}")
            return
        if event.kind == "CALL_CLOSED":
            self.say(f"no call to {self.peer}: {event.param}")
            return
        time.sleep(_TALK_SECONDS)
        try:
            self._control.command("hangup")
        except LabError:
            self.say(f"{self.peer} has hung up already")
        self._listen(since, f"called {self.peer}")

    def _listen(self, since: int, what: str) -> None:
        try:
            self._control.wait_for(("CALL_CLOSED",), 60, since)
        except DeadlineError as error:
            self.say(f"{what}: {error}")
            return
        self.say(f"{what}, heard {self.peer_hertz} Hz for {self._heard():.1f} s")
        for path in (FOLDER / "heard").iterdir():
            path.unlink()

    def _heard(self) -> float:
        """Seconds of the other's tone in the recording of the call that has ended."""

        def recording() -> Path | None:
            complete = filter(sound.is_complete, (FOLDER / "heard").glob("*dec.wav"))
            return max(complete, key=lambda path: path.stat().st_mtime, default=None)

        try:
            # baresip tells of the end first, and closes the recording then.
            path = wait_until("the recording of the call", recording, seconds=_CLOSE_SECONDS)
        except DeadlineError:
            return 0.0
        return sound.seconds_heard(path, self.peer_hertz)

    def say(self, text: str) -> None:
        sys.stdout.write(f"{self.name}: {text}\n")

    def _seen(self) -> int:
        return len(self._control.events)

    def _connect(self) -> Control | None:
        if self._process.poll() is not None:
            raise LabError(f"baresip ended:\n{(FOLDER / 'baresip.log').read_text(errors='replace')}")
        try:
            connection = socket.create_connection(("127.0.0.1", _CONTROL_PORT), timeout=1)
        except OSError:
            return None
        return Control(self.name, connection)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    gateway = os.environ["GATEWAY"]
    privileges.run("ip", "route", "replace", "default", "via", gateway)
    privileges.drop()
    domain = os.environ["SIP_DOMAIN"]
    phone = HomePhone(
        os.environ["PHONE"],
        f"sip:{os.environ['PEER']}@{domain}",
        int(os.environ["HERTZ"]),
        int(os.environ["PEER_HERTZ"]),
    )
    phone.register(domain, f"{os.environ['ADVERTISED_ADDRESS']}:{os.environ['SIP_PORT']}")
    phone.serve(float(os.environ["FIRST_CALL"]), float(os.environ["CALL_EVERY"]))


if __name__ == "__main__":
    main()
