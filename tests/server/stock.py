"""Kamailio's own configuration, as the reference to which our answers are compared."""

from __future__ import annotations

from pathlib import Path

INSTALLED = Path("/etc/kamailio/kamailio.cfg")
# What the file leaves to be edited, and what would reach beyond a test's own loopback ports.
EDITS = (
    ("children=8", "children={children}"),
    ('loadmodule "db_mysql.so"', 'loadmodule "db_sqlite.so"'),
    ('"calculate_ha1", yes', '"calculate_ha1", no'),
    ('"password_column", "password"', '"password_column", "ha1"'),
    ('"udp:127.0.0.1:7722"', '"{relay}"'),
    ('"natping_interval", 30', '"natping_interval", 0'),
)


def stock_cfg(folder: Path, *, relay: str = "udp:127.0.0.1:9", children: int = 2) -> Path:
    """A copy of the installed file that runs in a test: SQLite for MySQL, HA1 for passwords, no keepalives."""
    text = INSTALLED.read_text()
    for old, new in EDITS:
        assert old in text, (
            f"{INSTALLED}: expected {old!r}, found none; is it the file of the package kamailio?"
        )
        text = text.replace(old, new.format(relay=relay, children=children))
    cfg = folder / "stock.cfg"
    cfg.write_text(text)
    return cfg
