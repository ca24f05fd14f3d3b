"""Run RTPProxy, the media relay: `python rtpproxy --help`.

One launcher for the compose file, for `kemi run` and for the lab. It starts an installed `rtpproxy` binary if
there is one, and otherwise RTPProxy as PyPI's `rtp.io` builds it, inside this process. It needs only the
standard library, so that an image with Python and rtp.io is enough.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib.metadata
import ipaddress
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

READY_SECONDS = 5.0
STOP_SECONDS = 10.0
NUDGE_SECONDS = 5.0
RTP_HEADER = bytes([0x80]) + bytes(11)  # RFC 3550, section 5.1, and no sound
LOG_LEVELS = {"debug": "DBUG", "info": "INFO", "warning": "WARN", "error": "ERR", "critical": "CRIT"}


class StartError(Exception):
    """The relay cannot start as asked. The text says what to change."""


@dataclass(frozen=True)
class Control:
    """A control socket: `udp:HOST:PORT` or `unix:PATH`, as Kamailio's `rtpproxy_sock` writes it."""

    text: str
    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Control:
        kind, _, rest = text.partition(":")
        if kind == "unix" and rest:
            return cls(text, path=rest)
        host, _, port = rest.rpartition(":")
        if kind == "udp" and host and port.isdigit() and 0 < int(port) < 65536:
            return cls(text, host=host, port=int(port))
        raise argparse.ArgumentTypeError(f"expected udp:HOST:PORT or unix:PATH, found '{text}'")

    def check_free(self) -> None:
        """Raise StartError if somebody answers here already or the address is not ours."""
        if self.path:
            self._check_path_free()
        else:
            _try_bind(self.host, self.port, f"--control {self.text}")

    def _check_path_free(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            # A path nobody listens on is left over from a relay that was killed: RTPProxy replaces it.
            if probe.connect_ex(self.path) == 0:
                raise StartError(f"--control {self.text}: already in use by another process; choose another")
        if not os.access(Path(self.path).resolve().parent, os.W_OK):
            raise StartError(f"--control {self.text}: the folder does not exist or is not writable")

    def ask(self, command: str, timeout: float) -> str:
        """Send one command and return the answer; OSError when there is none within `timeout` seconds."""
        if self.path:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
                stream.settimeout(timeout)
                stream.connect(self.path)
                stream.sendall(f"{command}\n".encode())
                return stream.recv(4096).decode().strip()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            datagram.settimeout(timeout)
            datagram.connect((self.host, self.port))
            # The cookie in front comes back; a repeated one would be answered from the relay's cache.
            datagram.send(f"{os.getpid()}_{time.monotonic_ns()} {command}".encode())
            return datagram.recv(4096).decode().partition(" ")[2].strip()


def _port_range(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    if not (dash and low.isdigit() and high.isdigit()):
        raise argparse.ArgumentTypeError(f"expected MIN-MAX, for instance 35000-65000, found '{text}'")
    # Each stream takes an even port for RTP and the next one for RTCP (RFC 3550, section 11).
    if not 1024 <= int(low) < int(high) <= 65535:
        raise argparse.ArgumentTypeError(f"expected 1024 <= MIN < MAX <= 65535, found '{text}'")
    return int(low), int(high)


def _seconds(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, found '{text}'")
    return int(text)


def _try_bind(host: str, port: int, option: str) -> None:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.bind(address)
    except socket.gaierror as error:
        raise StartError(f"{option}: cannot resolve '{host}': {error.strerror}") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = "already in use by another process; stop it or choose another port"
        elif error.errno == errno.EADDRNOTAVAIL:
            reason = f"{host} is not an address of this machine (see `ip address`)"
        else:
            reason = os.strerror(error.errno or 0)
        raise StartError(f"{option}: {reason}") from error


def _outgoing_address() -> str:
    """This machine's address as the routing table has it. Connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"rtpproxy: error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="rtpproxy",
        description="Run RTPProxy in the foreground until SIGTERM or Ctrl-C.",
        epilog="What follows '--' goes to RTPProxy unchanged.",
    )
    parser.add_argument(
        "--control",
        action="append",
        type=Control.parse,
        metavar="SOCKET",
        help="control socket, udp:HOST:PORT or unix:PATH; may be repeated (default: udp:127.0.0.1:7722)",
    )
    parser.add_argument(
        "--media-address",
        default=_outgoing_address(),
        metavar="ADDR[/ADDR]",
        help="local address for media; two for bridging, internal/external (default: %(default)s)",
    )
    parser.add_argument(
        "--advertise",
        metavar="ADDR[/ADDR]",
        help="address written into the SDP instead, when the relay itself stands behind a NAT",
    )
    parser.add_argument(
        "--ports",
        type=_port_range,
        default=(35000, 65000),
        metavar="MIN-MAX",
        help="UDP ports for media (default: 35000-65000)",
    )
    parser.add_argument("--record-dir", type=Path, metavar="DIR", help="where recorded calls go (pcap)")
    parser.add_argument("--log-level", choices=LOG_LEVELS, default="info", help="(default: %(default)s)")
    parser.add_argument(
        "--ttl",
        type=_seconds,
        default=60,
        metavar="SECONDS",
        help="end a session this long after its last packet (default: %(default)s)",
    )
    parser.add_argument(
        "--binary",
        default="auto",
        metavar="auto|none|PATH",
        help="auto: an rtpproxy found on the PATH, else PyPI's rtp.io; none: rtp.io (default: %(default)s)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="start nothing; ask the relay that runs at --control whether it answers (exit status 0 or 1)",
    )
    return parser


def _find_binary(wanted: str) -> str | None:
    """The binary to run, None for rtp.io."""
    if wanted == "none":
        return None
    found = shutil.which("rtpproxy" if wanted == "auto" else wanted)
    if wanted != "auto" and not found:
        raise StartError(
            f"--binary {wanted}: no such program; install RTPProxy, or use --binary none for rtp.io"
        )
    return found


def _binary_version(binary: str) -> tuple[int, ...]:
    answer = subprocess.run([binary, "-V"], capture_output=True, text=True, timeout=READY_SECONDS, check=True)
    return tuple(int(number) for number in answer.stdout.strip().split(".")[:2] if number.isdigit())


def _check(options: argparse.Namespace) -> None:
    for control in options.control:
        control.check_free()
    for address in options.media_address.split("/"):
        _try_bind(address, 0, f"--media-address {options.media_address}")
    if options.advertise and options.advertise.count("/") != options.media_address.count("/"):
        raise StartError("--advertise: give as many addresses as --media-address has")
    if options.record_dir:
        try:
            options.record_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(f"--record-dir {options.record_dir}: {error.strerror}") from error
        if not os.access(options.record_dir, os.W_OK):
            raise StartError(f"--record-dir {options.record_dir}: not writable")


def _arguments(options: argparse.Namespace, version: tuple[int, ...]) -> list[str]:
    """RTPProxy's own command line."""
    arguments = ["-f"]
    if os.geteuid() == 0:
        arguments.append("-F")  # RTPProxy refuses to run as root otherwise
    for control in options.control:
        arguments += ["-s", control.text]
    media = options.media_address
    if options.advertise and ("/" in media or version < (3, 2)):
        arguments += ["-A", options.advertise]
    elif options.advertise:
        # From 3.2 on, -A is read for bridging only; otherwise the advertised address belongs to its -l.
        media = f"{media}={options.advertise}"
    arguments += ["-6" if _is_ipv6(options.media_address) else "-l", media]
    arguments += ["-m", str(options.ports[0]), "-M", str(options.ports[1])]
    arguments += ["-T", str(options.ttl), "-d", LOG_LEVELS[options.log_level]]
    if options.record_dir:
        arguments += ["-P", "-r", str(options.record_dir.resolve())]
    return arguments + list(options.extra)


def _is_ipv6(media_address: str) -> bool:
    try:
        return ipaddress.ip_address(media_address.split("/")[0]).version == 6
    except ValueError:
        return False


def _wait_ready(control: Control, still_running: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if not still_running():
            raise StartError("RTPProxy ended at once; its reason stands above")
        with contextlib.suppress(OSError):
            if control.ask("V", timeout=0.2):
                return
    raise StartError(f"no answer to the V command on {control.text} within {READY_SECONDS:.0f} s")


def _say_ready(options: argparse.Namespace, engine: str) -> None:
    advertised = f" advertised as {options.advertise}" if options.advertise else ""
    sys.stdout.write(
        f"rtpproxy: ready, control {' '.join(control.text for control in options.control)}, "
        f"media {options.media_address}{advertised} ports {options.ports[0]}-{options.ports[1]}, {engine}\n"
    )
    sys.stdout.flush()


class _PortKeeper:
    """Frees the ports of sessions that ended without media.

    RTPProxy 3.2 closes the sockets of sessions that timed out when it next receives a media packet. On a relay whose
    calls carry none, all ports would be taken in the end, for good: no call gets a session, so no packet ever comes.
    """

    def __init__(self, control: Control, media_address: str, ports: tuple[int, int]) -> None:
        self._control = control
        self._media_address = media_address.split("/")[0]
        self._ports = ports
        self._seen = (0, 0)

    def free(self) -> None:
        """If sessions ended and no packet came since the last time, see that one comes."""
        with contextlib.suppress(OSError, ValueError):
            packets, created, ended = self._counts()
            if (packets, ended) != self._seen and packets == self._seen[0]:
                self._nudge(idle=created == ended)
                packets, created, ended = self._counts()
            self._seen = packets, ended

    def _counts(self) -> list[int]:
        return [int(text) for text in self._ask("G npkts_rcvd nsess_created nsess_destroyed").split()]

    def _nudge(self, idle: bool) -> None:
        call = f"launcher-{os.getpid()}-{time.monotonic_ns()}"
        modifiers = "6" if _is_ipv6(self._media_address) else ""
        port = self._ask(f"U{modifiers} {call} {self._media_address} 9 launcher").partition(" ")[0]
        if port.isdigit() and port != "0":
            self._send([int(port)])
            self._ask(f"D {call} launcher")
        elif idle:
            # No port is left for a session, but neither is there a call that a packet of ours could disturb.
            self._send(range(self._ports[0], self._ports[1] + 1))

    def _send(self, ports: Iterable[int]) -> None:
        family = socket.AF_INET6 if _is_ipv6(self._media_address) else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as datagram:
            for port in ports:
                datagram.sendto(RTP_HEADER, (self._media_address, port))

    def _ask(self, command: str) -> str:
        return self._control.ask(command, timeout=1)


def _run_library(options: argparse.Namespace) -> int:
    try:
        from rtp.io import rtpproxy  # type: ignore[import-untyped]
    except ImportError as error:
        raise StartError(
            f"neither an rtpproxy binary nor the module rtp.io is here ({error}); pip install rtp.io"
        ) from error
    # RTPProxy's threads inherit the mask, so that only sigwait below sees the two signals.
    stop_signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    version = importlib.metadata.version("rtp.io")
    try:
        relay = rtpproxy(modules=[], extra_args=_arguments(options, version=(3, 2)))
    except RuntimeError as error:
        raise StartError(f"{error}; its reason stands above") from error
    try:
        _wait_ready(options.control[0], still_running=lambda: True)
        _say_ready(options, f"rtp.io {version}")
        ports = _PortKeeper(options.control[0], options.media_address, options.ports)
        while not signal.sigtimedwait(stop_signals, NUDGE_SECONDS):
            ports.free()
    finally:
        del relay  # ends every session and frees its ports
    return 0


def _run_binary(options: argparse.Namespace, binary: str) -> int:
    signals = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    arguments = _arguments(options, _binary_version(binary))
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    child = subprocess.Popen([binary, *arguments], preexec_fn=lambda: _unblock(signals))
    try:
        _wait_ready(options.control[0], still_running=lambda: child.poll() is None)
        _say_ready(options, binary)
        if signal.sigwait(signals) == signal.SIGCHLD:
            sys.stderr.write(f"rtpproxy: error: {binary} ended by itself with status {child.wait()}\n")
            return 1
    finally:
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
    return 0


def _unblock(signals: set[signal.Signals]) -> None:
    """In the child: a Ctrl-C that came before it was another program is the parent's to obey, so forget it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


def _check_answers(control: Control) -> int:
    try:
        version = control.ask("V", timeout=1)
    except OSError as error:
        sys.stderr.write(f"rtpproxy: error: no answer to the V command on {control.text}: {error}\n")
        return 1
    sys.stdout.write(f"rtpproxy: {control.text} answers, protocol {version}\n")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the relay until SIGTERM or SIGINT; 0 after a clean stop, 1 if it died, 2 if it could not start."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    end = given.index("--") if "--" in given else len(given)
    options = _parser().parse_args(given[:end])
    options.extra = given[end + 1 :]
    options.control = options.control or [Control.parse("udp:127.0.0.1:7722")]
    if options.check:
        return _check_answers(options.control[0])
    # Four descriptors a call: the usual soft limit of 1024 would end at 250 calls.
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    try:
        binary = _find_binary(options.binary)
        _check(options)
        return _run_binary(options, binary) if binary else _run_library(options)
    except StartError as error:
        sys.stderr.write(f"rtpproxy: error: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
