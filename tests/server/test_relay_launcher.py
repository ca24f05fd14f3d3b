"""`python rtpproxy`: the real RTPProxy behind our launcher, asked over its control protocol."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kemi.cli.processes import Server
from kemi.relay_control import RelayControl
from tests.server.free_ports import free_port, free_range, udp_socket

LAUNCHER = Path(__file__).parents[2] / "rtpproxy"
PATIENCE = 10.0


class Relay:
    """A launcher, once it is ready or has ended."""

    def __init__(self, options: list[str], log: Path, program: list[str]) -> None:
        self.control = RelayControl("127.0.0.1", free_port())
        self.ask = self.control.ask
        self.active_sessions = self.control.active_sessions
        command = [
            *program,
            sys.executable,
            str(LAUNCHER),
            f"--control={self.control.url}",
            *options,
        ]
        self.server = Server("relay", command, log.parent, log)
        deadline = time.monotonic() + PATIENCE
        while not self.ready_line:
            assert time.monotonic() < deadline, self.server.failure("did not get ready").message
            assert self.server.ended(0.05) is None, self.server.failure("ended").message

    @property
    def ready_line(self) -> str:
        return "".join(line for line in self.server.output.splitlines() if line.startswith("rtpproxy: ready"))

    def offer(self, call: str, port: int = 4000) -> tuple[int, str]:
        answer = self.ask(f"U {call} 127.0.0.1 {port} from")
        relay_port, address = answer.split()
        return int(relay_port), address

    def answer(self, call: str, port: int = 4002) -> tuple[int, str]:
        relay_port, address = self.ask(f"L {call} 127.0.0.1 {port} from to").split()
        return int(relay_port), address

    def stop(self, signal_number: int = signal.SIGTERM) -> int | None:
        os.kill(self.server.pid, signal_number)
        return self.server.ended(PATIENCE)


StartRelay = Callable[..., Relay]


@pytest.fixture
def start_relay(tmp_path: Path) -> Iterator[StartRelay]:
    started: list[Relay] = []

    def start(*options: str, binary: str = "none", path: str = os.environ["PATH"]) -> Relay:
        common = [f"--binary={binary}", "--media-address=127.0.0.1", "--log-level=debug"]
        relay = Relay([*common, *options], tmp_path / "relay.log", ["env", f"PATH={path}"])
        started.append(relay)
        return relay

    yield start
    for relay in started:
        relay.server.kill()  # a stop in good order takes RTPProxy a second, and is tested below


def refused(*options: str) -> str:
    """Start with options that cannot work; the one line that says why."""
    process = subprocess.run(
        [sys.executable, str(LAUNCHER), "--binary=none", *options],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert process.returncode == 2, process
    assert process.stderr.count("\n") == 1, process.stderr
    assert process.stdout == ""
    return process.stderr


def test_the_ready_line_comes_when_the_version_command_is_answered(start_relay: StartRelay) -> None:
    relay = start_relay("--ports=40000-40010")
    assert relay.ready_line == (
        f"rtpproxy: ready, control {relay.control.url}, media 127.0.0.1 ports 40000-40010, rtp.io "
        + relay.ready_line.split()[-1]
    )
    assert relay.ask("V") == "20040107"


def test_several_control_sockets_lead_to_the_same_relay(start_relay: StartRelay, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("left over from a relay that was killed")
    relay = start_relay(f"--control=unix:{path}")
    relay.offer("call")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.settimeout(PATIENCE)
        stream.connect(str(path))
        stream.sendall(b"I\n")
        assert "active sessions: 1\n" in stream.recv(4096).decode()


def test_offer_answer_and_delete_make_and_end_a_session(start_relay: StartRelay) -> None:
    relay = start_relay()
    offered, _ = relay.offer("call")
    answered, _ = relay.answer("call")
    assert offered != answered
    assert relay.active_sessions() == 1
    assert relay.ask("D call from to") == "0"
    assert relay.active_sessions() == 0
    assert relay.ask("D call from to") == "E50"


def test_media_passes_from_one_party_to_the_other(start_relay: StartRelay) -> None:
    relay = start_relay()
    with udp_socket() as alice, udp_socket() as bob:
        for_bob, _ = relay.offer("call", alice.getsockname()[1])
        for_alice, _ = relay.answer("call", bob.getsockname()[1])
        packet = bytes.fromhex("80080001000000a000000001") + bytes(160)
        alice.sendto(packet, ("127.0.0.1", for_alice))
        received, source = bob.recvfrom(2048)
    assert received == packet
    assert source[1] == for_bob


def test_media_ports_stay_in_the_range(start_relay: StartRelay) -> None:
    first, last = free_range(40)
    relay = start_relay(f"--ports={first}-{last}")
    answers = [relay.ask(f"U call{number} 127.0.0.1 4000 from") for number in range(40)]
    ports = [int(answer.split()[0]) for answer in answers if not answer.startswith("E")]
    assert all(first <= port < last for port in ports), (ports, first, last)
    # Each call takes two ports. RTPProxy gives up early on the last free ones, so not all of them are given out.
    assert 10 <= len(set(ports)) <= 20, answers


def test_the_advertised_address_is_the_one_answered(start_relay: StartRelay) -> None:
    relay = start_relay("--advertise=203.0.113.9")
    assert relay.offer("call")[1] == "203.0.113.9"
    assert relay.answer("call")[1] == "203.0.113.9"


def test_bridging_advertises_an_address_for_each_side(start_relay: StartRelay) -> None:
    relay = start_relay("--media-address=127.0.0.1/127.0.0.2", "--advertise=198.51.100.1/203.0.113.1")
    # E and I name the interfaces: from the external side (127.0.0.2) to the internal one.
    assert relay.ask("UEI call 127.0.0.1 4000 from").split()[1] == "198.51.100.1"
    assert relay.ask("UIE other 127.0.0.1 4000 from").split()[1] == "203.0.113.1"


def test_a_recorded_call_leaves_a_capture(start_relay: StartRelay, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    relay = start_relay(f"--record-dir={folder}")
    with udp_socket() as alice, udp_socket() as bob:
        relay.offer("call", alice.getsockname()[1])
        for_alice, _ = relay.answer("call", bob.getsockname()[1])
        assert relay.ask("R call from to") == "0"
        for number in range(5):
            alice.sendto(
                bytes.fromhex(f"8008{number:04x}000000a000000001") + bytes(160), ("127.0.0.1", for_alice)
            )
            bob.recv(2048)
    assert relay.ask("D call from to") == "0"
    assert relay.stop() == 0
    sizes = {path.name: path.stat().st_size for path in folder.rglob("*rtp")}
    assert max(sizes.values(), default=0) > 5 * 160, (
        f"expected five packets of 160 bytes recorded, found {sizes}"
    )


def test_a_session_without_packets_ends_after_the_ttl(start_relay: StartRelay) -> None:
    relay = start_relay("--ttl=1")
    relay.offer("call")
    deadline = time.monotonic() + PATIENCE
    with udp_socket() as pause:
        pause.settimeout(0.1)
        while relay.active_sessions():
            assert time.monotonic() < deadline, f"the session still lives after {PATIENCE:g} s with --ttl 1"
            with contextlib.suppress(TimeoutError):
                pause.recv(1)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_live_sessions_and_frees_their_ports(start_relay: StartRelay, signal_number: int) -> None:
    relay = start_relay()
    port, _ = relay.offer("call")
    relay.answer("call")
    with pytest.raises(OSError, match="in use"):
        udp_socket(port)
    assert relay.stop(signal_number) == 0
    udp_socket(port).close()
    assert "is cleaned up" in relay.server.output
    assert "Traceback" not in relay.server.output


def test_a_control_socket_in_use_is_named() -> None:
    with udp_socket() as taken:
        control = f"udp:127.0.0.1:{taken.getsockname()[1]}"
        assert f"--control {control}: already in use" in refused(f"--control={control}")


def test_a_unix_control_socket_in_use_is_named(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as taken:
        taken.bind(str(path))
        taken.listen()
        assert f"--control unix:{path}: already in use" in refused(f"--control=unix:{path}")


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("--ports=500-600", "expected 1024 <= MIN < MAX <= 65535, found '500-600'"),
        ("--ports=40000-30000", "expected 1024 <= MIN < MAX <= 65535, found '40000-30000'"),
        ("--ports=40000", "expected MIN-MAX, for instance 35000-65000, found '40000'"),
        ("--media-address=198.51.100.7", "198.51.100.7 is not an address of this machine"),
        ("--media-address=relay.invalid", "cannot resolve 'relay.invalid'"),
        ("--control=tcp:127.0.0.1:7722", "expected udp:HOST:PORT or unix:PATH, found 'tcp:127.0.0.1:7722'"),
        ("--control=udp:198.51.100.7:7722", "198.51.100.7 is not an address of this machine"),
        ("--control=unix:/nonexistent/socket", "the folder does not exist or is not writable"),
        ("--advertise=203.0.113.1/203.0.113.2", "give as many addresses as --media-address has"),
        ("--record-dir=/dev/null/records", "--record-dir /dev/null/records: Not a directory"),
        ("--binary=/nonexistent/rtpproxy", "--binary /nonexistent/rtpproxy: no such program"),
        ("--ttl=0", "expected a number of seconds above 0, found '0'"),
        ("--log-level=loud", "invalid choice: 'loud'"),
    ],
)
def test_options_that_cannot_work_are_refused_with_one_line(option: str, reason: str) -> None:
    assert reason in refused(f"--control=udp:127.0.0.1:{free_port()}", option)


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    """The real RTPProxy as a program of its own, which says it is version 3.2."""
    program = tmp_path / "bin" / "rtpproxy"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, signal, sys\n"
        "if sys.argv[1:] == ['-V']:\n"
        "    sys.stdout.write('3.2.0.test\\n'); sys.exit()\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "import rtp.io\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "relay = rtp.io.rtpproxy(modules=[], extra_args=sys.argv[1:])\n"
        "signal.sigwait({signal.SIGTERM})\n"
    )
    program.chmod(0o755)
    return program


def test_an_installed_binary_is_preferred_and_stopped_with_us(start_relay: StartRelay, binary: Path) -> None:
    path = f"{binary.parent}:{os.environ['PATH']}"
    relay = start_relay("--advertise=203.0.113.9", binary="auto", path=path)
    assert relay.ready_line.endswith(f" {binary}")
    port, address = relay.offer("call")
    assert address == "203.0.113.9"
    assert relay.stop() == 0
    udp_socket(port).close()


def test_the_death_of_the_binary_is_reported(start_relay: StartRelay, binary: Path) -> None:
    relay = start_relay(binary=str(binary))
    os.kill(int((binary.parents[1] / "pid").read_text()), signal.SIGKILL)
    assert relay.server.ended(PATIENCE) == 1
    assert f"{binary} ended by itself with status -9" in relay.server.output


def test_what_follows_two_dashes_goes_to_rtpproxy(start_relay: StartRelay) -> None:
    # -2 sends every packet twice.
    relay = start_relay("--", "-2")
    with udp_socket() as alice, udp_socket() as bob:
        relay.offer("call", alice.getsockname()[1])
        for_alice, _ = relay.answer("call", bob.getsockname()[1])
        packet = bytes.fromhex("80080001000000a000000001") + bytes(20)
        alice.sendto(packet, ("127.0.0.1", for_alice))
        assert [bob.recv(2048), bob.recv(2048)] == [packet, packet]


def test_sessions_that_timed_out_without_media_give_their_ports_back(start_relay: StartRelay) -> None:
    first, last = free_range(16)
    relay = start_relay(f"--ports={first}-{last}", "--ttl=2")
    number = 0
    while relay.ask(f"U silent{number} 127.0.0.1 4000 from").partition(" ")[2]:
        number += 1
        assert number < 16, "more sessions than ports"

    deadline = time.monotonic() + 30
    while not relay.ask("U later 127.0.0.1 4000 from").partition(" ")[2]:
        assert time.monotonic() < deadline, "the ports were not free again within 30 s"
        time.sleep(0.5)
