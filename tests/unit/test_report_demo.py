"""The command `kemi lab`: what it refuses before it builds anything, and the grid filling up."""

import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from kemi.lab.demo import GridProgress, lab, load, save
from tests.unit.report_samples import result


def test_the_readmes_grid_needs_the_grid(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("")
    answer = CliRunner().invoke(lab, ["--no-grid", "--readme", str(readme)])
    assert answer.exit_code == 2
    assert "--readme writes the grid, --no-grid leaves it out" in answer.output


def test_a_readme_without_marks_is_refused_before_anything_runs(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# kemi")
    answer = CliRunner().invoke(lab, ["--out", str(tmp_path / "run"), "--readme", str(readme)])
    assert answer.exit_code == 1
    assert f"{readme}: expected <!-- grid:begin -->" in answer.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("terminal", [True, False])
def test_the_grid_fills_up_and_names_what_failed(terminal: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, width=110, force_terminal=terminal, color_system=None)
    calls = [result("full cone", "symmetric"), result("symmetric", "full cone", problem="bob heard nothing")]
    progress = GridProgress(["full cone", "symmetric"])
    assert progress.show(iter(calls), console) == calls
    told = out.getvalue()
    assert "✓ 4.0 s" in told
    assert "2/4" in told
    assert "✗ symmetric calls full cone: failed, 4.0 s heard: bob heard nothing" in told


def test_results_are_read_back_as_they_were_saved(tmp_path: Path) -> None:
    results = [result(), result("full cone", "restricted", problem="no media")]
    save(results, tmp_path / "grid.json")
    assert load(tmp_path / "grid.json") == results
