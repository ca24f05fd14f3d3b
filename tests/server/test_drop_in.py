"""What the README says about an existing Kamailio: its lines, put into the stock file in place of the routes, serve."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kemi.cli.paths import BOOT_FILE
from kemi.testing.client import Client
from kemi.testing.servers import Servers

README = Path(__file__).parents[2] / "README.md"
STOCK = Path("/etc/kamailio/kamailio.cfg")


def _drop_in() -> str:
    """The configuration lines of the README's section."""
    _, _, rest = README.read_text(encoding="utf-8").partition("<!-- drop-in:begin -->")
    section, end, _ = rest.partition("<!-- drop-in:end -->")
    assert end, "the README has no drop-in section"
    lines = [line.strip() for line in section.splitlines() if line.startswith("    ")]
    return "\n".join(lines).replace("/path/to/kemi/boot/kemi_boot.py", str(BOOT_FILE))


@pytest.fixture
def cfg(tmp_path: Path) -> Path:
    """The stock file up to its routes, with SQLite as its database, then the README's lines."""
    text, marker, _ = STOCK.read_text(encoding="utf-8").partition("####### Routing Logic ########")
    assert marker, f"{STOCK} has no routing section"
    text = re.sub(r"^children=.*$", "children=2", text, flags=re.MULTILINE)
    path = tmp_path / "own.cfg"
    path.write_text(f'loadmodule "db_sqlite.so"\n{text}\n{_drop_in()}\n', encoding="utf-8")
    return path


def test_the_readmes_lines_serve_in_the_stock_file(cfg: Path, start: Servers) -> None:
    server = start("WITH_NAT", cfg=cfg)
    with Client(server, "alice", contact_host="192.168.1.10") as alice:
        assert alice.ask("OPTIONS", server.uri).status == 200
        registered = alice.ask("REGISTER", "sip:example.com")
        assert registered.status == 200
        assert ";received=" in str(registered.header("Contact"))
        assert alice.ask("MESSAGE", "sip:nobody@example.com").status == 404


def test_with_the_tables_for_bans_too(cfg: Path, start: Servers) -> None:
    server = start("WITH_AUTH", cfg=cfg, users={"alice": "secret"})
    with Client(server, "alice") as alice:
        assert alice.ask("REGISTER", "sip:example.com").status == 401
