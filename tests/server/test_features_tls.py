"""SIP over TLS (WITH_TLS)."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kemi.cli.paths import product_file
from kemi.testing.client import Client
from kemi.testing.dialog import record_route
from kemi.testing.process import LOOPBACK, free_port
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers

TLS_CFG = """\
[server:default]
method = TLSv1.2+
verify_certificate = no
require_certificate = no
private_key = {key}
certificate = {certificate}

[client:default]
verify_certificate = no
require_certificate = no
"""


@dataclass
class TlsServer:
    """Kamailio with a socket for TLS, and the certificate that it shows."""

    server: KamailioServer
    port: int
    certificate: Path
    address: str = LOOPBACK


@pytest.fixture(scope="module")
def tls(start_shared: Servers, tmp_path_factory: pytest.TempPathFactory) -> TlsServer:
    folder = tmp_path_factory.mktemp("tls")
    key, certificate, port = folder / "key.pem", folder / "certificate.pem", free_port()
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=example.com"
    files = ["-addext", f"subjectAltName=IP:{LOOPBACK}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    settings = folder / "tls.cfg"
    settings.write_text(TLS_CFG.format(key=key, certificate=certificate))
    cfg = folder / "kamailio.cfg"
    cfg.write_text(product_file("kamailio.cfg").read_text() + f"\nlisten=tls:{LOOPBACK}:{port}\n")
    return TlsServer(start_shared("WITH_TLS", cfg=cfg, TLS_CFG=settings), port, certificate)


class TlsClient(Client):
    """A client whose TCP connection is TLS; the server's certificate must be the one that is expected."""

    def __init__(self, tls: TlsServer, user: str) -> None:
        super().__init__(tls, user, transport="tcp")
        context = ssl.create_default_context(cafile=tls.certificate)
        self._socket: socket.socket = context.wrap_socket(self._socket, server_hostname=LOOPBACK)
        self.transport = "tls"


@pytest.fixture
def alice(tls: TlsServer) -> Iterator[Client]:
    with TlsClient(tls, "alice") as client:
        yield client


def test_a_phone_registers_over_tls(tls: TlsServer, alice: Client) -> None:
    answer = alice.register()
    assert answer.status == 200
    assert alice.contact in (answer.header("Contact") or "")
    assert "transport=tls" in alice.contact


def test_a_call_from_udp_reaches_a_phone_on_its_tls_connection(tls: TlsServer, alice: Client) -> None:
    assert alice.register().status == 200
    with Client(tls.server, "bob", address="127.0.0.3") as bob:
        invite = bob.invite(alice.uri)
        came = alice.expect("INVITE")
        assert (came.header("Via") or "").startswith("SIP/2.0/TLS ")
        # One for each side: the transport changes on the way (RFC 5658).
        assert len(record_route(came)) == 2
        alice.reply(came, 486)
        assert bob.final(invite).status == 486


def test_a_call_over_tls_reaches_a_phone_on_udp(tls: TlsServer, alice: Client) -> None:
    with Client(tls.server, "bob", address="127.0.0.3") as bob:
        assert bob.register().status == 200
        invite = alice.invite(bob.uri)
        bob.reply(bob.expect("INVITE"), 486)
        assert alice.final(invite).status == 486


def test_what_is_not_tls_gets_no_answer(tls: TlsServer) -> None:
    with socket.create_connection((tls.address, tls.port), 3) as plain:
        plain.sendall(b"OPTIONS sip:example.com SIP/2.0\r\n\r\n")
        assert not plain.recv(4096).startswith(b"SIP/2.0")
