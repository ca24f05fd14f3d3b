"""The command `kemi`, told to speak to the server of a test."""

from __future__ import annotations

from click.testing import CliRunner, Result

from kemi.cli.main import main
from kemi.cli.workers import processes
from kemi.deadline import wait_until
from kemi.testing.server import KamailioServer


def kemi(server: KamailioServer, command: str, *arguments: str) -> Result:
    """What `kemi command` printed, and its exit code. An exception that is no message for people fails the test."""
    result = CliRunner().invoke(main, [command, "--socket", str(server.rpc_socket), *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def ready(server: KamailioServer) -> KamailioServer:
    """With all processes known; a worker may still be at its start."""

    def have_reported() -> bool:
        return all(process.record for process in processes(server.rpc_socket) if process.is_worker)

    wait_until(f"every worker of {server.log} to report", have_reported, 5)
    return server
