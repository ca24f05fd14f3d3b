"""Whatever bytes a message holds, it gets the answer that it gets from Kamailio's own configuration."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kemi.deadline import DeadlineError
from kemi.testing.builders import sdp
from kemi.testing.client import Client
from kemi.testing.compose import ack_failure
from kemi.testing.message import Message
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from tests.server.stock import stock_cfg

TORTURE = Path(__file__).parent / "rfc4475"
# The domains of RFC 4475 are ours, so that no request leaves for one of them.
DOMAINS = (
    "example.com",
    "example.net",
    "example.org",
    "company.com",
    "registrar.example.com",
    "chair-dnrc.example.com",
)
DEFINES = {"plain": (), "nat": ("WITH_NAT",), "nat-auth": ("WITH_NAT", "WITH_AUTH", "WITH_USRLOCDB")}


@dataclass(frozen=True)
class Target:
    """A server and bob's phone."""

    server: KamailioServer
    bob: Client
    profile: str

    def caller(self, transport: str) -> Client:
        """Somebody of another domain, who may call our users without a password."""
        return Client(self.server, transport=transport, domain="elsewhere.example")


@dataclass(frozen=True)
class Trio:
    stock: Target
    ours: dict[str, Target]


@pytest.fixture(scope="module", params=DEFINES)
def trio(request: pytest.FixtureRequest, start_shared: Servers) -> Iterator[Trio]:
    defines = DEFINES[request.param]
    relay = start_shared.relay()
    targets = {}
    for name in ("stock configuration", "profile stock", "profile default"):
        # One process per transport: an answer comes before the answer to whatever was sent after.
        server = start_shared.make(
            *defines,
            settings=f"profile: {name.split()[1]}\n" if name.startswith("profile") else None,
            users={"bob": "secret"},
            relay=relay,
            CHILDREN=1,
            NATPING_INTERVAL=0,
        )
        server.domains = DOMAINS
        if name == "stock configuration":
            server.cfg = stock_cfg(server.folder, relay=relay.control, children=1)
            server.defines = (*server.defines, "WITH_MYSQL")
        server.start()
        targets[name] = target(start_shared, server, name.split()[1])
    yield Trio(targets.pop("stock configuration"), targets)
    start_shared.close()


def target(start: Servers, server: KamailioServer, profile: str) -> Target:
    bob = start.client(server, "bob")
    contact = bob.contact.strip("<>")
    server.rpc("ul.add", "location", "bob", contact, 3600, 1, ".", 0, 0, 0x3FFF)
    return Target(server, bob, profile)


def answers(target: Target, caller: Client, request: Message) -> list[str]:
    """Status codes of all answers to `request`, and "bob" where it reached bob, who answers 486."""
    number = number_of(request)
    caller.send(request)
    found = until_fence(target, caller, number)
    came = next((message for message in target.bob.unread() if number_of(message) == number), None)
    if came is None:
        return found
    found.append("bob")
    target.bob.reply(came, 486)
    final = receive(caller, number, seconds=1)
    if final is None:
        return found
    if request.method == "INVITE":
        caller.send(ack_failure(request, final))
    return [*found, str(final.status)]


def number_of(message: Message) -> str:
    return (message.header("CSeq") or "").partition(" ")[0]


def receive(client: Client, number: str, seconds: float) -> Message | None:
    """The next message with this number in its CSeq; retransmissions of earlier ones are passed over."""
    end = time.monotonic() + seconds
    while True:
        try:
            message = client.receive(max(end - time.monotonic(), 0.001))
        except (DeadlineError, ConnectionError):
            return None
        if number_of(message) == number:
            return message


def until_fence(target: Target, caller: Client, number: str = "") -> list[str]:
    """The status codes before the answer to an OPTIONS of ours; with `number`, only of answers to that CSeq.

    "closed" if the server closes the TCP connection.
    """
    fence = caller.request("OPTIONS", target.server.uri, headers={"CSeq": "999999 OPTIONS"})
    found: list[str] = []
    try:
        caller.send(fence)
        while True:
            answer = Message.parse(caller.receive_bytes(what=f"the next OPTIONS in {target.server.log}"))
            if answer.header("Call-ID") == fence.header("Call-ID"):
                assert answer.status == 200
                return found
            if not number or number_of(answer) == number:
                found.append(str(answer.status))
    except ConnectionError:
        return [*found, "closed"]


numbers = itertools.count(1)

ODD = {
    "latin-1": "caf\udce9 \udcff",
    "one word": "caf\udce9",
    "a scanner's name": "\udce9 friendly-scanner",
    "NUL": "a\0b",
    "60 kB": "x" * 60_000,
    "60 kB that are not UTF-8": "\udce9" * 60_000,
}
URIS = {"OPTIONS": "bob@example.com", "REGISTER": "example.com", "INVITE": "bob@example.com"}


def with_odd(caller: Client, method: str, field: str, odd: str, number: int) -> Message:
    """A request that holds the odd text in the named place."""
    uri = f"sip:{URIS[method]}"
    user = caller.uri
    headers: dict[str, str | None] = {"CSeq": f"{number} {method}"}
    match field:
        case "From display":
            headers["From"] = f'"{odd}" <{user}>;tag={number}'
        case "From user":
            headers["From"] = f"<sip:{odd}@elsewhere.example>;tag={number}"
        case "Contact":
            headers["Contact"] = f"<sip:{odd}@{caller.contact_host}:{caller.contact_port}>"
        case "method":
            # It stands in the first line and in CSeq, and all must fit into one datagram.
            method += odd[:30_000]
            headers["CSeq"] = f"{number} {method}"
        case "request-URI user":
            uri = f"sip:{odd}@example.com"
        case "Call-ID":
            headers["Call-ID"] = f"{number}{odd}"
        case _:
            headers[field] = odd
    body = sdp(caller.contact_host) if method == "INVITE" else ""
    to = "sip:alice@example.com" if method.startswith("REGISTER") else "sip:bob@example.com"
    return caller.request(method, uri, body=body, headers=headers, to=to)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "field",
    [
        "User-Agent",
        "From display",
        "From user",
        "Contact",
        "Call-ID",
        "Event",
        "Subject",
        "X-Unknown",
        "method",
        "request-URI user",
    ],
)
def test_odd_bytes_get_the_answer_of_the_stock_configuration(trio: Trio, field: str, odd: str) -> None:
    kinds = [(method, transport) for method in URIS for transport in ("udp", "tcp")]

    def of(target: Target) -> dict[tuple[str, str], list[str]]:
        found = {}
        for method, transport in kinds:
            with target.caller(transport) as caller:
                request = with_odd(caller, method, field, ODD[odd], next(numbers))
                found[method, transport] = answers(target, caller, request)
        return found

    expected = of(trio.stock)
    for name, ours in trio.ours.items():
        assert of(ours) == stricter(ours, expected), f"{name}, see {ours.server.log}"


def stricter(target: Target, stock: dict[tuple[str, str], list[str]]) -> dict[tuple[str, str], list[str]]:
    """The one difference: with authentication the default profile lets no stranger ask for our users' phones."""
    if "WITH_AUTH" not in target.server.defines or target.profile == "stock":
        return stock
    return {key: ["404"] if key[0] == "OPTIONS" and "bob" in found else found for key, found in stock.items()}


def test_a_scanner_hides_behind_a_nul_from_the_stock_configuration_alone(trio: Trio) -> None:
    def of(target: Target) -> list[str]:
        with target.caller("udp") as caller:
            headers = {"User-Agent": "a\0 friendly-scanner", "CSeq": f"{next(numbers)} OPTIONS"}
            return answers(target, caller, caller.request("OPTIONS", target.server.uri, headers=headers))

    assert of(trio.stock) == ["200"]
    assert [of(ours) for ours in trio.ours.values()] == [[], []]


def torture() -> list[Path]:
    """The messages of RFC 4475; REGISTER last, so that no contact of one is called by another."""
    return sorted(TORTURE.glob("*.dat"), key=lambda path: (b"REGISTER" in path.read_bytes(), path.name))


def test_all_messages_of_the_rfc_are_here() -> None:
    assert len(torture()) == 49


# Their Content-Length promises more than comes: on a stream they never end.
ENDLESS = ("baddn", "clerr")


@pytest.mark.parametrize(
    ("path", "transport"),
    [
        pytest.param(path, transport, id=f"{path.stem}-{transport}")
        for path in torture()
        for transport in (("udp",) if path.stem in ENDLESS else ("udp", "tcp"))
    ],
)
def test_torture_messages_get_the_answer_of_the_stock_configuration(
    trio: Trio, path: Path, transport: str
) -> None:
    def of(target: Target) -> list[str]:
        with target.caller(transport) as caller:
            caller.send(path.read_bytes())
            return until_fence(target, caller)

    expected = of(trio.stock)
    for name, ours in trio.ours.items():
        assert of(ours) == expected, f"{name}, see {ours.server.log}"
