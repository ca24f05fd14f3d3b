"""HTTP on the SIP ports: JSON-RPC for this machine, and nothing for others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.parity.agent import Place
from tests.parity.scene import Case, Scene

HTTP = {
    "GET /": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /RPC": b"GET /RPC HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET of markup": b"GET /<b>x</b>?a=b HTTP/1.1\r\nHost: x\r\n\r\n",
    "PUT": b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
}
RPC = {
    "echo": b'{"jsonrpc":"2.0","method":"core.echo","params":["hello"],"id":1}',
    "unknown method": b'{"jsonrpc":"2.0","method":"no.such","id":2}',
    "without id": b'{"jsonrpc":"2.0","method":"core.echo","params":["hello"]}',
    "garbage": b"garbage",
    "nothing": b"",
}


def http() -> Iterator[Case]:
    for name, body in RPC.items():
        for path in ("/RPC", "/RPC2?x=y", "/rpc", "/"):
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            data = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
            yield from _http(f"POST {path} {name}", data)
    for name, data in HTTP.items():
        yield from _http(name, data)


def _http(name: str, data: bytes) -> Iterator[Case]:
    for where, host in (("here", "127.0.0.1"), ("elsewhere", "")):
        yield Case("HTTP", f"{name} from {where}", partial(_browse, data, host))


def _browse(data: bytes, host: str, scene: Scene) -> None:
    place = Place(transport="tcp")
    browser = scene.agent("browser", place, at=(host, 0)) if host else scene.agent("browser", place)
    browser.browse(data)
