"""Record what passes a host's interface into a pcap file, and count the sound that arrives."""

import contextlib
import ctypes
import select
import socket
import struct
import threading
import time
from collections.abc import Collection
from pathlib import Path

from kemi.deadline import DeadlineError
from kemi.lab import pcap, rtp, sip
from kemi.lab.network import Host
from kemi.lab.report.wire import Packet

_ALL_PROTOCOLS = 0x0003
_SO_ATTACH_FILTER, _SO_TIMESTAMPNS = 26, 35  # asm-generic/socket.h
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h
_IPV4_SOURCE, _IPV4_DESTINATION = 26, 30  # in an Ethernet frame
_RECEIVE_BUFFER = 8 << 20
_WAKE_UP_MS = 100


class Capture:
    """A running record of one interface, both directions.

    It listens from the moment it is made. With `only`, frames from or to other IPv4 addresses are left out.
    """

    def __init__(self, host: Host, path: Path, only: Collection[str] = ()) -> None:
        self.host = host
        self.path = path
        self._media = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb")
        self._file.write(pcap.FILE_HEADER)
        with host.namespace.entered():
            # Without a protocol nothing arrives before the filter stands and the interface is chosen.
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        if only:
            _let_pass(self._socket, only)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._socket.bind((host.interface, _ALL_PROTOCOLS))
        self._socket.setblocking(False)
        self._thread = threading.Thread(target=self._run, name=f"capture {path.name}", daemon=True)
        self._thread.start()

    @property
    def media(self) -> int:
        """RTP packets with sound that have reached the host so far."""
        return self._media

    def wait_for_media(self, packets: int, seconds: float) -> None:
        """Wait until `media` has grown to `packets`. Raises DeadlineError after `seconds`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._media >= packets, seconds):
                raise DeadlineError(
                    f"waited {seconds:g} s for {packets} RTP packets at {self.host.address}, "
                    f"found {self._media} (capture: {self.path})"
                )

    def sip(self, since: float = 0) -> list[Packet]:
        """The SIP messages over UDP seen so far, both directions, from the moment `since` (``time.time()``) on."""
        self.flush()
        return list(sip.packets(self.path, since))

    def flush(self) -> None:
        """Bring everything that has passed the interface so far into the file."""
        with self._changed:
            if not self._file.closed:
                self._take_all()
                self._file.flush()

    def stop(self) -> None:
        """Take what has already arrived, and close the file."""
        self._stopping.set()
        self._thread.join()
        self.flush()
        self._file.close()
        self._socket.close()

    def _run(self) -> None:
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        while not self._stopping.is_set():
            waiting.poll(_WAKE_UP_MS)
            with self._changed:
                self._take_all()

    def _take_all(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._take()

    def _take(self) -> None:
        frame, ancillary, _, origin = self._socket.recvmsg(65535, 128)
        moment = time.time_ns()
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                seconds, nanoseconds = struct.unpack("@ll", data)
                moment = seconds * 1_000_000_000 + nanoseconds
        arriving = origin[2] != socket.PACKET_OUTGOING
        datagram = pcap.udp(frame) if arriving else None
        self._file.write(pcap.record(moment, frame))
        if datagram and rtp.parse(datagram.payload):
            self._media += 1
            self._changed.notify_all()


def _let_pass(connection: socket.socket, addresses: Collection[str]) -> None:
    """Have the kernel drop every frame that is neither from nor to one of these IPv4 addresses (socket(7), filter)."""
    # Many calls at once share the server's interface, each with a capture of its own: what others say must not wake it.
    wanted = [int.from_bytes(socket.inet_aton(address)) for address in addresses]
    last = 2 * (1 + len(wanted)) + 1
    program: list[bytes] = []
    for field in (_IPV4_SOURCE, _IPV4_DESTINATION):
        program.append(_instruction(_LOAD_WORD, field))
        for address in wanted:
            program.append(_instruction(_JUMP_IF_EQUAL, address, skip=last - len(program) - 1))
    program += [_instruction(_RETURN, 0), _instruction(_RETURN, 0xFFFFFFFF)]
    code = ctypes.create_string_buffer(b"".join(program))
    connection.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code))
    )


def _instruction(code: int, value: int, skip: int = 0) -> bytes:
    """One step of a filter, `struct sock_filter` (linux/filter.h); `skip` counts the steps to jump over."""
    return struct.pack("@HBBI", code, skip, 0, value)
