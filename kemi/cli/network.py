"""This machine's address, and ports that must be free before anything starts."""

from __future__ import annotations

import errno
import re
import shutil
import socket
import subprocess

import click


class PortError(click.ClickException):
    """An address or port cannot be used. The text names it, the reason and, if known, the process."""


def outgoing_address() -> str:
    """The address from which this machine reaches others, by the routing table. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket only looks the route up. RFC 5737 address.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def require_free(transport: str, address: str, port: int) -> None:
    """Raise PortError unless `address` is ours and nobody uses the port (`transport` is udp or tcp)."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if transport == "tcp":
            # Connections of an earlier run may still be in TIME_WAIT; a listener is a conflict all the same.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            if transport == "tcp":
                probe.listen(1)
        except OSError as error:
            where = f"{transport}:{address}:{port}"
            if error.errno == errno.EADDRINUSE:
                used_by = _holder(transport, port) or "another process (run as root to see which)"
                raise PortError(
                    f"{where} is already used by {used_by}; stop it or choose another port"
                ) from error
            if error.errno == errno.EADDRNOTAVAIL:
                raise PortError(f"{where}: {address} is not an address of this machine") from error
            raise PortError(f"{where}: {error.strerror}") from error


def _holder(transport: str, port: int) -> str | None:
    ss = shutil.which("ss")
    if not ss:
        return None
    listed = subprocess.run(
        [ss, "-H", "-n", "-p", "-l", "--udp" if transport == "udp" else "--tcp", f"sport = :{port}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    match = re.search(r'\("([^"]+)",pid=(\d+)', listed.stdout)
    return f"{match[1]} (process {match[2]})" if match else None
