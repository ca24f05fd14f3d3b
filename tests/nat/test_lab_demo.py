"""`kemi lab`, the demonstration: a live account, then a page that stands on its own."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from kemi.lab.demo import lab


def test_the_demonstration_tells_a_call_and_draws_its_page(run_dir: Path) -> None:
    ran = CliRunner().invoke(lab, ["--no-grid", "--seconds", "2", "--out", str(run_dir)])
    assert ran.exit_code == 0, ran.output
    for told in ("received from", "INVITE", "heard the", "1 of 1 calls"):
        assert told in ran.output, ran.output
    (result,) = json.loads((run_dir / "grid.json").read_text())
    assert result["ok"]
    page = (run_dir / "index.html").read_text()
    for shown in ("REGISTER", "INVITE", "BYE", ";alias=", "received=", "<svg", "symmetric"):
        assert shown in page, shown
    for outside in ("<script", 'src="http', 'href="http'):
        assert outside not in page, outside
