"""Sockets, and ports that nobody uses, outside the range from which the kernel gives ports to whoever asks for any."""

from __future__ import annotations

import contextlib
import random
import socket

# Below ip_local_port_range (32768 on Linux), so that no client of a test beside us gets one in the meantime.
_LOWEST, _HIGHEST = 10_000, 32_000


def free_range(size: int) -> tuple[int, int]:
    """First and last of `size` ports in a row, the first even, free for UDP and TCP on 127.0.0.1."""
    for _ in range(100):
        first = random.randrange(_LOWEST, _HIGHEST - size, 2)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + size):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
                    probe.bind(("127.0.0.1", port))
            return first, first + size - 1
    raise AssertionError(
        f"no {size} free ports in a row between {_LOWEST} and {_HIGHEST} found in 100 attempts"
    )


def free_port() -> int:
    return free_range(1)[0]


def udp_socket(port: int = 0) -> socket.socket:
    """A socket at 127.0.0.1, on any port unless one is named. Raises OSError if that is in use."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.settimeout(10)
    try:
        opened.bind(("127.0.0.1", port))
    except OSError:
        opened.close()
        raise
    return opened
