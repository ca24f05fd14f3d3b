"""The list of KSR functions that the library names."""

from __future__ import annotations

from pathlib import Path

from bench.micro.sources import called_in_source
from kemi.cli.paths import PACKAGE


def test_functions_are_found_called_or_bound(tmp_path: Path) -> None:
    package = tmp_path / "kemi"
    (package / "cli").mkdir(parents=True)
    (package / "nat.py").write_text(
        "import KSR\nsave = KSR.registrar.save\n\ndef f():\n    return KSR.pv.get('$rm').lower() and KSR.is_ACK()\n"
    )
    (package / "sl.py").write_text(
        "import KSR\nhasattr(KSR.sl, 'send_reply_error')\nKSR.sl.send_reply(200, 'OK')\n"
    )
    (package / "cli" / "apart.py").write_text("import KSR\nKSR.info('not on the message path')\n")
    assert called_in_source(tmp_path) == {"registrar.save", "pv.get", "is_ACK", "sl.send_reply"}


def test_the_librarys_own_are_found() -> None:
    assert {"registrar.save", "tm.t_relay"} <= called_in_source(PACKAGE.parent)
