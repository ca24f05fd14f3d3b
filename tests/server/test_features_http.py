"""JSON-RPC over HTTP on the SIP ports (WITH_JSONRPC), for this machine alone."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

import pytest

from kemi.testing.client import Client
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers

CALL = {"jsonrpc": "2.0", "method": "core.version", "id": 7}


@pytest.fixture(scope="module")
def server(start_shared: Servers) -> KamailioServer:
    return start_shared("WITH_JSONRPC")


def ask(
    server: KamailioServer,
    method: str,
    path: str,
    body: str = "",
    *,
    source: str = "127.0.0.1",
    seconds: float = 3,
) -> tuple[int, str, str]:
    """One HTTP request from this address: status, content type and body of the answer."""
    connection = http.client.HTTPConnection(server.address, server.port, seconds, source_address=(source, 0))
    try:
        connection.request(method, path, body or None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()
    finally:
        connection.close()


def rpc(server: KamailioServer, call: dict[str, Any], path: str = "/RPC") -> dict[str, Any]:
    status, kind, body = ask(server, "POST", path, json.dumps(call))
    answer: dict[str, Any] = json.loads(body)
    assert kind.startswith("application/json")
    # Kamailio tells failed calls in the HTTP status, too.
    assert status == (200 if "result" in answer else 500)
    return answer


@pytest.mark.parametrize("path", ["/RPC", "/RPC/", "/RPC2?x=1"])
def test_a_call_is_answered(server: KamailioServer, path: str) -> None:
    answer = rpc(server, CALL, path)
    assert answer["id"] == CALL["id"]
    assert "kamailio" in answer["result"]


def test_a_call_may_change_the_server(server: KamailioServer) -> None:
    with Client(server, "bob", address="127.0.0.3") as bob:
        assert bob.register().status == 200
        assert bob.ask("MESSAGE", "sip:nobody@example.com").status == 404
        assert "result" in rpc(server, {**CALL, "method": "ul.rm", "params": ["location", "bob"]})
        assert bob.ask("MESSAGE", bob.uri).status == 404


def test_an_unknown_method_is_an_error(server: KamailioServer) -> None:
    assert "error" in rpc(server, {**CALL, "method": "no.such"})


@pytest.mark.parametrize("path", ["/", "/rp", "/index.html", "/other?to=/RPC"])
def test_another_path_serves_nothing(server: KamailioServer, path: str) -> None:
    status, kind, body = ask(server, "GET", path)
    assert (status, kind) == (200, "text/html")
    assert body == f"<html><body>Wrong URL {path}</body></html>"


@pytest.mark.parametrize("path", ["/RPC", "/"])
def test_another_machine_is_refused(server: KamailioServer, path: str) -> None:
    status, kind, body = ask(server, "POST", path, json.dumps(CALL), source="127.0.0.2")
    assert (status, kind) == (403, "text/html")
    assert body == "<html><body>Not allowed from 127.0.0.2</body></html>"


def test_bytes_that_are_no_text_are_answered(server: KamailioServer) -> None:
    with socket.create_connection((server.address, server.port), 3) as connection:
        connection.sendall(b"GET /caf\xe9 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        answer = b""
        while data := connection.recv(4096):
            answer += data
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith("<html><body>Wrong URL /caf\N{REPLACEMENT CHARACTER}</body></html>".encode())


def test_the_connection_is_closed_after_the_answer(server: KamailioServer) -> None:
    connection = http.client.HTTPConnection(server.address, server.port, 3)
    connection.request("GET", "/")
    answer = connection.getresponse()
    answer.read()
    assert connection.sock is None or connection.sock.recv(1) == b""
    connection.close()


def test_sip_over_the_same_port_goes_on(server: KamailioServer) -> None:
    with Client(server, "alice", transport="tcp") as alice:
        assert alice.register().status == 200
        assert ask(server, "GET", "/")[0] == 200
        assert alice.ask("OPTIONS", server.uri).status == 200


def test_without_the_define_nobody_is_served(start: Servers) -> None:
    server = start()
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(server, "POST", "/RPC", json.dumps(CALL), seconds=0.3)
    with Client(server, "alice") as alice:
        assert alice.ask("OPTIONS", server.uri).status == 200
