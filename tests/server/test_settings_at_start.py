"""What does not fit stops the start at once, and the log says where, what was expected, what was found, what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kemi.cli.paths import product_file
from kemi.testing.server import KamailioServer
from kemi.testing.servers import Servers

SECONDS = 5.0


def refusal(server: KamailioServer) -> str:
    """The line in which kemi says why the server does not start."""
    status = server.launch().wait(SECONDS)
    assert status != 0, server.log_text()
    reasons = re.findall(r"kemi: not started: (.*)", server.log_text())
    assert len(reasons) == 1, server.log_text()
    return str(reasons[0])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("natt: {}\n", "kemi.yaml:1: natt: unknown key; did you mean 'nat'?"),
        (
            "\nnat:\n  test: [via]\n",
            "kemi.yaml:3: nat.test: unknown key; did you mean 'tests'?",
        ),
        (
            "nat:\n  tests: [contact, contcat]\n",
            "kemi.yaml:2: nat.tests: unknown test 'contcat'; did you mean 'contact'?",
        ),
        (
            "nat:\n  tests: contact\n",
            "kemi.yaml:2: nat.tests: expected a list, found 'contact'; write [a, b]",
        ),
        (
            "screen:\n  max_forwards: ten\n",
            "kemi.yaml:2: screen.max_forwards: expected a whole number, found 'ten'",
        ),
        (
            "screen: {max_forwards: true}\n",
            "kemi.yaml:1: screen.max_forwards: expected a whole number, found 'true'",
        ),
        (
            "screen: {max_forwards: 0}\n",
            "kemi.yaml:1: screen.max_forwards: expected 1 or more, found 0",
        ),
        (
            "auth:\n  qop: 1\n",
            "kemi.yaml:2: auth.qop: expected true or false, found '1'",
        ),
        ("nat: 5\n", "kemi.yaml:1: nat: expected keys and values, found '5'"),
        ("profile: stok\n", "kemi.yaml:1: profile: unknown value 'stok'; did you mean 'stock'?"),
        (
            "media: {unavailable: drop}\n",
            "kemi.yaml:1: media.unavailable: unknown value 'drop'; expected one of: pass, reject",
        ),
        ("nat: {}\nnat: {}\n", "kemi.yaml:2: nat: expected each key once, found it again; remove one"),
        ("nat: [\n", "kemi.yaml: expected YAML, found: "),
        ("router: my_routes\n", "kemi.yaml: router: expected module:Class, found 'my_routes'"),
        (
            "router: my_routes:Routes\n",
            "kemi.yaml: router: expected a module 'my_routes' beside the settings file, found none; "
            "create it or correct the name",
        ),
    ],
)
def test_settings_that_do_not_fit_stop_the_start(start: Servers, settings: str, said: str) -> None:
    assert said in refusal(start.make(settings=settings))


def test_a_missing_settings_file_stops_the_start(start: Servers, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.yaml"
    reason = refusal(start.make(KEMI_SETTINGS=missing))
    assert (
        f"{missing}: expected the settings file named by KEMI_SETTINGS, found no such file; create it"
        in reason
    )


def test_a_folder_as_settings_file_stops_the_start(start: Servers, tmp_path: Path) -> None:
    reason = refusal(start.make(KEMI_SETTINGS=tmp_path))
    assert f"{tmp_path}: expected a readable UTF-8 file, found: " in reason
    assert "Is a directory" in reason


def test_settings_that_are_no_text_stop_the_start(start: Servers, tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"router: caf\xe9:Routes\n")
    assert f"{path}: expected a readable UTF-8 file, found: " in refusal(start.make(KEMI_SETTINGS=path))


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        (
            "class Rules: ...\n",
            "kemi.yaml: router: expected 'Routes' in my_routes to be a subclass of kemi.router.Router, found None",
        ),
        (
            "class Routes: ...\n",
            "to be a subclass of kemi.router.Router, found <class 'my_routes.Routes'>",
        ),
        ("Routes = 3\n", "to be a subclass of kemi.router.Router, found 3"),
        ("import nowhere_to_be_found\n", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("class Routes(\n", "SyntaxError: '(' was never closed (my_routes.py, line 1)"),
        ("raise ValueError('on import')\n", "ValueError: on import"),
        (
            "from kemi.router import Router\nclass Routes(Router):\n    def rules(self):\n        return self.x\n",
            "AttributeError: 'Routes' object has no attribute 'x'",
        ),
    ],
)
def test_routes_that_do_not_load_stop_the_start(start: Servers, routes: str, said: str) -> None:
    server = start.make(routes=routes)
    assert said in refusal(server)
    assert "Traceback (most recent call last)" in server.log_text()


def test_routes_that_exit_stop_the_start(start: Servers) -> None:
    assert "SystemExit: 0" in refusal(start.make(routes="import sys\nsys.exit(0)\n"))


def test_a_start_hook_that_raises_stops_the_start(start: Servers) -> None:
    server = start.make(
        routes="from kemi.router import Router\n"
        "class Routes(Router):\n"
        "    def start(self, rank):\n"
        "        raise ConnectionError('no billing database')\n"
    )
    assert server.launch().wait(SECONDS) != 0
    assert "no billing database" in server.log_text()


@pytest.mark.parametrize(
    ("define", "module", "needed_for"),
    [
        ("WITH_NAT", "nathelper", "WITH_NAT"),
        ("WITH_NAT", "rtpproxy", "WITH_NAT"),
        ("WITH_AUTH", "auth_db", "WITH_AUTH"),
        ("WITH_AUTH", "htable", "auth.ban (set both limits to 0 to do without)"),
        ("WITH_ANTIFLOOD", "pike", "WITH_ANTIFLOOD"),
        ("WITH_IPAUTH", "permissions", "WITH_IPAUTH"),
        ("WITH_ALIASDB", "alias_db", "WITH_ALIASDB"),
        ("WITH_SPEEDDIAL", "speeddial", "WITH_SPEEDDIAL"),
        ("WITH_SERVER_VERSION", "maxfwd", "these routes"),
        ("WITH_SERVER_VERSION", "tmx", "these routes"),
    ],
)
def test_a_define_without_its_module_stops_the_start(
    start: Servers, tmp_path: Path, define: str, module: str, needed_for: str
) -> None:
    cfg = tmp_path / "kamailio.cfg"
    cfg.write_text(without_module(product_file("kamailio.cfg").read_text(), module))
    reason = refusal(start.make(define, users={}, cfg=cfg))
    assert (
        f"kamailio.cfg: {needed_for}: expected module '{module}' to be loaded, found that it is not; "
        f'add: loadmodule "{module}.so"'
    ) in reason


def without_module(cfg: str, module: str) -> str:
    """kamailio.cfg without one module and its parameters."""
    lines = cfg.splitlines()
    kept = [
        line for line in lines if not re.match(rf'loadmodule "{module}\.so"|modparam\("{module}[|"]', line)
    ]
    assert len(kept) < len(lines)
    # Shared with another module, which keeps it.
    return "\n".join(kept).replace(f"{module}|", "") + "\n"


def test_kemi_without_module_kemix_says_so(start: Servers, tmp_path: Path) -> None:
    cfg = tmp_path / "kamailio.cfg"
    cfg.write_text(without_module(product_file("kamailio.cfg").read_text(), "kemix"))
    assert "expected module 'kemix' to be loaded" in refusal(start.make(cfg=cfg))


def test_the_same_server_starts_once_the_settings_are_right(start: Servers) -> None:
    server = start.make(settings="nat: {tests: [contcat]}\n")
    refusal(server)
    (server.folder / "kemi.yaml").write_text("nat: {tests: [contact]}\n")
    server.start()
    assert start.client(server).ask("OPTIONS", server.uri).status == 200
