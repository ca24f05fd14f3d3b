"""Kamailio's JSON-RPC over its unix datagram socket (module jsonrpcs, parameter dgram_socket)."""

from __future__ import annotations

import json
import os
import secrets
import socket
import tempfile
from pathlib import Path
from typing import Any

import click

from kemi.cli.paths import state_folder

SYSTEM_SOCKET = Path("/run/kamailio/kamailio_rpc.sock")

#: For commands that speak to a running server: its `path`, or None for :func:`default_socket`.
socket_option = click.option(
    "--socket", "path", type=click.Path(path_type=Path), help="Kamailio's JSON-RPC datagram socket."
)


class RpcError(click.ClickException):
    """Kamailio did not answer, or answered with an error. The text names the socket and the method."""


class RefusedError(RpcError):
    """Kamailio answered with an error."""


def default_socket() -> Path:
    """The socket of `kemi run` if it runs here, else the one of a Kamailio installed from packages."""
    own = state_folder() / "run" / "kamailio_rpc.sock"
    return own if own.exists() else SYSTEM_SOCKET


def call(path: Path, method: str, *parameters: str | int, timeout: float = 5.0) -> Any:
    """Call `method` and return its result; raises RpcError without an answer within `timeout` seconds."""
    request_id = secrets.randbelow(2**31)
    request = {"jsonrpc": "2.0", "method": method, "params": list(parameters), "id": request_id}
    where = f"{path}: {method}"
    # Kamailio answers to the address of the sender, so the sender must have one.
    with (
        tempfile.TemporaryDirectory(prefix="kemi-rpc-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram,
    ):
        datagram.settimeout(timeout)
        datagram.bind(os.path.join(folder, "answer"))
        # A Kamailio that gave up root's rights must still be able to write to it.
        os.chmod(folder, 0o711)
        os.chmod(os.path.join(folder, "answer"), 0o622)
        try:
            datagram.sendto(json.dumps(request).encode(), str(path))
            # Kamailio quotes what it was sent, and its own memory, without looking whether that is text.
            answer = json.loads(datagram.recv(1 << 20).decode("utf-8", "replace"), strict=False)
        except TimeoutError as error:
            raise RpcError(f"{where}: no answer within {timeout:g} s") from error
        except OSError as error:
            raise RpcError(
                f"{where}: {error.strerror or error}; is Kamailio running, with jsonrpcs?"
            ) from error
    if "error" in answer:
        raise RefusedError(f"{where}: error {answer['error'].get('code')}: {answer['error'].get('message')}")
    if answer.get("id") != request_id:
        raise RpcError(f"{where}: expected the answer to request {request_id}, found {answer.get('id')}")
    return answer.get("result")
