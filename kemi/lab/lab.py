"""The laboratory: an internet, NATs, phones, a SIP server and its media relay, all gone after the ``with`` block."""

import contextlib
import itertools
import os
import secrets
import shutil
import threading
from collections import abc
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from kemi.lab import reaper, stun, tones
from kemi.lab.capture import Capture
from kemi.lab.errors import LabError
from kemi.lab.event import Event, OnEvent, ignore
from kemi.lab.gateway import Gateway
from kemi.lab.namespace import RUN, remove_stale
from kemi.lab.nat import PRESETS, Filtering, Mapping, Nat
from kemi.lab.network import PUBLIC_PHONES, SERVERS, Host, Internet
from kemi.lab.phone import PUBLIC, Account, Phone
from kemi.lab.relay import Relay
from kemi.lab.server import DEFINES, DOMAIN, Server

#: The programs that it runs, and Debian's packages that have them.
PACKAGES = {
    "ip": "iproute2",
    "ss": "iproute2",
    "nft": "nftables",
    "baresip": "baresip-core",
    "kamailio": "kamailio kamailio-python3-modules kamailio-sqlite-modules python3-yaml",
    "turnserver": "coturn",
    "turnutils_natdiscovery": "coturn",
}
_MARK = ".kemi-run"
_proven: set[Nat] = set()


def require_root_and_programs() -> None:
    """Raise LabError unless this process may make namespaces and everything the laboratory runs is installed."""
    if os.geteuid() != 0:
        raise LabError("the laboratory makes network namespaces and must run as root: try sudo")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [program for program in PACKAGES if not shutil.which(program, path=path)]
    if missing:
        packages = sorted({PACKAGES[program] for program in missing})
        raise LabError(
            f"the laboratory needs {', '.join(missing)}; on Debian: apt install {' '.join(packages)}"
        )


class Lab:
    """Build with its methods inside ``with Lab(run_dir) as lab:``.

    Captures, logs and configuration go to `run_dir`, in place of those of an earlier run. It is removed after a
    block without error unless `keep`; after an error it is kept, and the error says where it is. Its server has the
    settings and the routes of `settings_file`, unless told otherwise.
    """

    def __init__(
        self,
        run_dir: Path,
        keep: bool = False,
        on_event: OnEvent = ignore,
        settings_file: Path | None = None,
    ) -> None:
        self.run_dir = run_dir.resolve()
        self._settings_file = settings_file
        self.keep = keep
        self.tell = on_event
        self._phones: list[Phone] = []
        self._gateway_numbers = itertools.count(1)
        self._phone_numbers = itertools.count()
        self._passwords: dict[str, str] = {}
        self._captures: list[Capture] = []
        self._server: Server | None = None
        self._relay: Relay | None = None
        self._stun: stun.StunServer | None = None
        self._judging = threading.Lock()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Lab":
        require_root_and_programs()
        remove_stale()
        self._make_run_dir()
        with contextlib.ExitStack() as stack:
            stack.enter_context(reaper.running())
            self.internet = Internet()
            stack.callback(self.internet.close)
            self._sockets = RUN / self.internet.prefix.rstrip("-")
            stack.callback(shutil.rmtree, self._sockets, ignore_errors=True)
            stack.callback(self._stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.keep = True
            error.add_note(f"captures and logs: {self.run_dir}")
        self._stack.close()
        if not self.keep:
            shutil.rmtree(self.run_dir)

    @property
    def server(self) -> Server:
        """The Kamailio that `kamailio` started. Raises LabError before that."""
        if self._server is None:
            raise LabError("this laboratory has no SIP server yet: call lab.kamailio() first")
        return self._server

    @property
    def relay(self) -> Relay:
        """The media relay beside the server. Raises LabError before `kamailio` was called."""
        if self._relay is None:
            raise LabError("this laboratory has no media relay yet: call lab.kamailio() first")
        return self._relay

    def kamailio(
        self,
        cfg: Path | None = None,
        settings: str = "",
        defines: Sequence[str] = DEFINES,
        values: abc.Mapping[str, str | int] | None = None,
    ) -> Server:
        """Start the SIP server and its relay on one public host; see `Server` for the arguments."""
        if self._settings_file is not None and not settings:
            values = {"KEMI_SETTINGS": str(self._settings_file), **(values or {})}
        host = self.internet.host("server", SERVERS)
        self._relay = Relay(host, self.run_dir / "relay")
        self.tell(Event("started", "relay", f"relays media at {host.address}"))
        self._server = Server(
            host,
            self.run_dir / "kamailio",
            self._sockets,
            self._relay.control,
            cfg,
            settings,
            defines,
            values,
        )
        self.tell(Event("started", "kamailio", f"serves {DOMAIN} at {self._server.proxy}"))
        return self._server

    def gateway(self, nat: Nat, name: str = "", network: str = "") -> Gateway:
        """A gateway with that NAT; `network` is the first three bytes of its inside, ``192.168.7``."""
        number = next(self._gateway_numbers)
        return Gateway(name or f"nat{number}", nat, self.internet, network or f"192.168.{number}")

    def subscribe(self, *names: str) -> None:
        """Make users known to the server, each with a password of its own, all at once."""
        new = {name: secrets.token_hex(8) for name in names if name not in self._passwords}
        if new:
            self.server.add_users(new)
            self._passwords |= new

    def phone(
        self,
        name: str,
        behind: Gateway | None = None,
        auto_answer: bool = True,
        expires: int = 3600,
        password: str = "",
        transport: str = "udp",
    ) -> Phone:
        """A phone whose user the server knows, behind a gateway or on the public internet.

        A phone with a `password` of its own uses that one, whatever the server knows.
        """
        host = behind.host(name) if behind else self.internet.host(name, PUBLIC_PHONES)
        self.subscribe(name)
        phone = Phone(
            host,
            Account(name, DOMAIN, password or self._passwords[name], self.server.proxy, expires, transport),
            self.run_dir / "phones" / name,
            tones.tone(next(self._phone_numbers)),
            nat=behind.nat.name if behind else PUBLIC,
            public_address=behind.public_address if behind else "",
            auto_answer=auto_answer,
        )
        self._phones.append(phone)
        return phone

    def capture(self, host: Host, path: Path, only: Collection[str] = ()) -> Capture:
        """Record a host's interface until the laboratory ends; `path` is relative to the run folder."""
        capture = Capture(host, self.run_dir / path, only)
        self._captures.append(capture)
        return capture

    def judge(self, gateway: Gateway) -> tuple[Mapping, Filtering]:
        """What a neutral judge (RFC 5780) finds behind `gateway`."""
        with self._judging:
            if self._stun is None:
                self._stun = stun.StunServer(self.internet, self.run_dir)
        return self._stun.judge(gateway.host(f"{gateway.name}-judge"))

    def prove(self, gateway: Gateway) -> None:
        """Raise NotProvenError unless the judge finds `gateway` to be what it claims."""
        nat = gateway.nat
        stun.require(nat, self.judge(gateway), f"gateway {gateway.name} ({gateway.public_address})")
        text = f"proven: {nat.mapping.value} mapping, {nat.filtering.value} filtering"
        self.tell(Event("proven", nat.name, text))

    def trust(self, *nats: Nat) -> None:
        """Prove these kinds of NAT, all at once, unless this process has done so before: a proof takes seconds."""
        unproven = [self.gateway(nat) for nat in dict.fromkeys(nats) if nat not in _proven]
        with ThreadPoolExecutor(len(PRESETS)) as pool:
            for gateway, _ in zip(unproven, pool.map(self.prove, unproven), strict=True):
                _proven.add(gateway.nat)

    def _make_run_dir(self) -> None:
        mark = self.run_dir / _MARK
        if mark.exists():
            shutil.rmtree(self.run_dir)
        elif self.run_dir.exists() and any(self.run_dir.iterdir()):
            raise LabError(
                f"{self.run_dir}: expected a new folder, or one of an earlier run; it holds other files"
            )
        self.run_dir.mkdir(parents=True, exist_ok=True)
        mark.touch()

    def _stop(self) -> None:
        with contextlib.ExitStack() as stack:
            for capture in self._captures:
                stack.callback(capture.stop)
            if self._relay:
                stack.callback(self._relay.stop)
            if self._server:
                stack.callback(self._server.stop)
            if self._stun:
                stack.callback(self._stun.stop)
            for phone in self._phones:
                stack.callback(phone.stop)
