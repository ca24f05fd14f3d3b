"""New code and settings are served without a restart; broken ones change nothing and harm nobody."""

from __future__ import annotations

import itertools
import os
import py_compile
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import kemi
from kemi.deadline import wait_until
from kemi.testing.client import Client
from kemi.testing.compose import ack_failure
from kemi.testing.message import Message
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers
from tests.server.versions import PATIENCE, ROUTES, ask_version, wait_until_served, workers

REFUSED = r"\((\d+)\) ERROR: .*kemi: load \d+ failed, the previous routes go on serving: "


@pytest.fixture
def server(start: Servers) -> KamailioServer:
    return start(routes=ROUTES)


@pytest.fixture
def client(server: KamailioServer) -> Iterator[Client]:
    with Client(server) as opened:
        yield opened


def routes_of(server: KamailioServer) -> Path:
    return server.folder / "my_routes.py"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def wait_until_refused(server: KamailioServer, client: Client, start: int, serving: str) -> str:
    """Ask until every worker has refused what it was to load, by the log after its first `start` characters.

    Each answer must be of the version that is `serving`. Returns the log from there.
    """
    waiting = workers(server)

    def refusals() -> str:
        assert ask_version(client)[1] == serving
        logged = server.log_text()[start:]
        return logged if waiting <= {int(pid) for pid in re.findall(REFUSED, logged)} else ""

    logged = wait_until(f"every worker of {server.log} to refuse", refusals, PATIENCE, every=0.005)
    # It logs before it is done, and Kamailio forgets a reload that is asked for until then.
    wait_until_served(server, client, serving)
    return logged


def pids(server: KamailioServer) -> set[int]:
    """Of all processes; right after the start the last may not be there yet."""
    return {worker.pid for worker in server.workers()}


def test_a_good_edit_is_served_by_every_worker(server: KamailioServer, client: Client) -> None:
    wait_until_served(server, client, "one")
    edit(routes_of(server), '"one"', '"two"')
    assert {ask_version(client)[1] for _ in range(6)} == {"one"}
    server.reload()
    wait_until_served(server, client, "two")
    server.wait_for_log("new routes are serving")


def test_an_edit_of_the_same_second_and_size_is_served(server: KamailioServer, client: Client) -> None:
    for version in ("two", "six", "ten"):
        path = routes_of(server)
        before = path.stat()
        path.write_text(ROUTES.replace('"one"', f'"{version}"'))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        server.reload()
        wait_until_served(server, client, version)


def test_bytecode_that_another_interpreter_left_hides_no_edit(server: KamailioServer, client: Client) -> None:
    path = routes_of(server)
    before = path.stat()
    py_compile.compile(str(path), doraise=True)
    edit(path, '"one"', '"two"')
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    server.reload()
    wait_until_served(server, client, "two")


def test_serving_leaves_no_bytecode_beside_the_routes(server: KamailioServer, client: Client) -> None:
    edit(routes_of(server), '"one"', '"two"')
    server.reload()
    wait_until_served(server, client, "two")
    assert not (server.folder / "__pycache__").exists()


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("class Routes(:\n", "SyntaxError"),
        ("import nowhere_to_be_found\n", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("raise ValueError('on import')\n", "ValueError: on import"),
        ("import sys\nsys.exit('on import')\n", "SystemExit: on import"),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt"),
        ("raise ValueError('NUL \\0, surrogate \\udcff')\n", "ValueError: NUL \\0, surrogate ?"),
        (
            "class Odd(Exception):\n    def __str__(self):\n        raise ValueError\nraise Odd\n",
            "Odd: (its text cannot be shown)",
        ),
        ("", "to be a subclass of kemi.router.Router, found None"),
        (
            ROUTES + "    def start(self, rank):\n        raise OSError('no database')\n",
            "OSError: no database",
        ),
        (ROUTES + "    def __init__(self, *_):\n        raise OSError('no router')\n", "OSError: no router"),
        (ROUTES.replace("(self.tell_version", "(self.nothing"), "has no attribute 'nothing'"),
        (
            ROUTES.replace("        return (self.tell_version", "        (self.tell_version"),
            "Routes.rules(): expected a tuple of methods that take a request, found None",
        ),
    ],
    ids=[
        "syntax",
        "import",
        "raises",
        "exits",
        "interrupts",
        "odd-text",
        "no-text",
        "empty",
        "start-hook",
        "constructor",
        "rules",
        "no-rules",
    ],
)
def test_a_broken_edit_keeps_the_old_routes_serving_until_it_is_mended(
    server: KamailioServer, client: Client, broken: str, said: str
) -> None:
    before = pids(server)
    begin = len(server.log_text())
    routes_of(server).write_text(broken)
    server.reload()
    logged = wait_until_refused(server, client, begin, serving="one")
    assert said in logged[logged.index("go on serving: ") :].splitlines()[0]
    server.wait_for_log("Traceback (most recent call last):", start=begin)
    # A load that Kamailio holds for failed is repeated at each message, and kills the process after a few.
    assert {ask_version(client)[1] for _ in range(20)} == {"one"}
    routes_of(server).write_text(ROUTES.replace('"one"', '"two"'))
    server.reload()
    wait_until_served(server, client, "two")
    assert before <= pids(server)


def test_settings_broken_at_reload_change_nothing(start: Servers) -> None:
    server = start(settings="screen: {scanners: [nobody]}\n", routes=ROUTES)
    client = start.client(server)
    settings = server.folder / "kemi.yaml"
    good = settings.read_text()
    for broken in (good.replace("scanners", "scaners"), "screen: [\n", "router: nowhere:Routes\n", None):
        begin = len(server.log_text())
        if broken is None:
            settings.unlink()
        else:
            settings.write_text(broken)
        server.reload()
        assert "serving: SettingsError: " in wait_until_refused(server, client, begin, serving="one")
    settings.write_text(good)
    edit(routes_of(server), '"one"', '"two"')
    server.reload()
    wait_until_served(server, client, "two")


def test_a_setting_changes_at_reload(start: Servers) -> None:
    server = start(routes=ROUTES, settings="screen: {max_forwards: 7, scanners: [nobody]}\n")
    client = start.client(server)
    edit(server.folder / "kemi.yaml", "nobody", "phone")
    edit(routes_of(server), '"one"', '"two"')
    server.reload()
    wait_until_served(server, client, "two")
    client.send(client.request("OPTIONS", server.uri, headers={"User-Agent": "Phone"}))
    client.expect_silence()


def test_modules_beside_the_routes_are_loaded_anew(start: Servers) -> None:
    server = start.make(
        routes=ROUTES.replace('VERSION = "one"', "from parts.version import NUMBER as VERSION\nimport helper")
    )
    (server.folder / "parts").mkdir()
    (server.folder / "parts" / "version.py").write_text("from helper import WORD\nNUMBER = WORD\n")
    (server.folder / "helper.py").write_text("WORD = 'one'\n")
    server.start()
    client = start.client(server)
    wait_until_served(server, client, "one")
    (server.folder / "helper.py").write_text("WORD = 'two'\n")
    server.reload()
    wait_until_served(server, client, "two")
    begin = len(server.log_text())
    (server.folder / "helper.py").write_text("WORD = 'six\n")
    server.reload()
    wait_until_refused(server, client, begin, serving="two")


def test_the_old_routes_keep_their_own_helpers_after_a_broken_edit(start: Servers) -> None:
    server = start.make(
        routes=ROUTES.replace("        if request", "        from helper import VERSION\n        if request")
    )
    (server.folder / "helper.py").write_text("VERSION = 'one'\n")
    server.start()
    client = start.client(server)
    wait_until_served(server, client, "one")
    begin = len(server.log_text())
    (server.folder / "helper.py").write_text("VERSION = 'two'\n")
    routes_of(server).write_text("import helper\nraise ValueError\n")
    server.reload()
    wait_until_refused(server, client, begin, serving="one")
    assert {ask_version(client)[1] for _ in range(6)} == {"one"}


def test_kemis_own_modules_are_loaded_anew(start: Servers, tmp_path: Path) -> None:
    own = tmp_path / "kemi"
    outside = shutil.ignore_patterns("lab", "testing", "cli", "__pycache__")
    shutil.copytree(Path(kemi.__file__).parent, own, ignore=outside)
    server = start(routes=ROUTES, KEMI_BOOT=own / "boot" / "kemi_boot.py")
    client = start.client(server)
    reason = '"Not relaying"'
    for version, new in (("two", '"Not for you"'), ("six", '"Mended"')):
        begin = len(server.log_text())
        edit(own / "auth.py", reason, '"Broken')
        server.reload()
        wait_until_refused(server, client, begin, serving="one" if version == "two" else "two")
        assert client.ask("REGISTER", "sip:192.0.2.1").reason == reason.strip('"')
        edit(own / "auth.py", '"Broken', new)
        routes_of(server).write_text(ROUTES.replace('"one"', f'"{version}"'))
        server.reload()
        wait_until_served(server, client, version)
        assert client.ask("REGISTER", "sip:192.0.2.1").reason == new.strip('"')
        reason = new


BROKEN = (
    "class Routes(:\n",
    "import nowhere_to_be_found\n",
    "raise ValueError\n",
    ROUTES + "    def start(self, rank):\n        raise OSError\n",
    "",
)


def test_twenty_broken_reloads_under_traffic_lose_no_message(server: KamailioServer, client: Client) -> None:
    before = pids(server)
    wait_until_served(server, client, "one")
    for number, broken in zip(range(20), itertools.cycle(BROKEN), strict=False):
        routes_of(server).write_text(f"# {number}\n{broken}")
        begin = len(server.log_text())
        # Some on their way while the reload comes, then more at a pace that two workers can follow.
        under_way = send(client, 6)
        server.reload()
        collect(client, under_way)
        for _ in range(3):
            collect(client, send(client, 3))
        wait_until_refused(server, client, begin, serving="one")
    assert before <= pids(server)
    routes_of(server).write_text(ROUTES.replace('"one"', '"two"'))
    server.reload()
    wait_until_served(server, client, "two")


EXPECTED = {"OPTIONS": 200, "REGISTER": 200, "INVITE": 404}
URIS = {
    "OPTIONS": "sip:version@example.com",
    "REGISTER": "sip:example.com",
    "INVITE": "sip:nobody@example.com",
}


def send(client: Client, number: int) -> dict[str, Message]:
    """Send requests of the three methods in turn; by Call-ID."""
    sent = {}
    for method in itertools.islice(itertools.cycle(EXPECTED), number):
        request = client.request(method, URIS[method])
        client.send(request)
        sent[request.header("Call-ID") or ""] = request
    return sent


def collect(client: Client, waiting: dict[str, Message]) -> None:
    """Wait until each has its answer. Several workers answer in any order."""
    while waiting:
        answer = client.receive(what=f"answers to {[request.method for request in waiting.values()]}")
        request = waiting.get(answer.header("Call-ID") or "")
        if request is None or answer.status < 200:
            continue
        assert answer.status == EXPECTED[request.method]
        if request.method == "INVITE":
            client.send(ack_failure(request, answer))
        del waiting[answer.header("Call-ID") or ""]
