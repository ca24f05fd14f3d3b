"""The fixture `kamailio` in a user's own project: a real server with the user's routes, or a plain word why not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import documents

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """The project that the document shows."""
    documents.write("testing.md", pytester.path)
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return project.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_the_examples_of_the_document_pass(project: pytest.Pytester) -> None:
    result = run(project, "tests/test_server.py", "--durations=0")
    result.assert_outcomes(passed=2)


def test_the_examples_of_the_document_are_typed_and_linted(project: pytest.Pytester) -> None:
    """As strictly as the library itself; the types of kemi come with it."""
    root = Path(__file__).parents[2]
    files = [str(path) for path in project.path.rglob("*.py")]
    environment = {**os.environ, "MYPYPATH": os.pathsep.join((".", str(root), str(root / "stubs")))}
    for command in (
        ["mypy", "--strict", "--explicit-package-bases", "--cache-dir", str(root / ".mypy_cache"), *files],
        ["ruff", "check", "--config", str(root / "pyproject.toml"), *files],
        ["ruff", "format", "--check", "--config", str(root / "pyproject.toml"), *files],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=project.path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_relay_runs_beside_it_with_nat_in_a_folder_however_deep(project: pytest.Pytester) -> None:
    path = project.makepyfile("""
        import pytest

        @pytest.mark.kemi(defines=["WITH_NAT"])
        def test_relay(kamailio):
            alice = kamailio.client("alice", contact_host="192.168.1.10")
            bob = kamailio.client("bob")
            bob.register()
            alice.invite("sip:bob@example.com")
            offer = bob.expect("INVITE")
            assert "c=IN IP4 127.0.0.1" in offer.body
            assert kamailio.relay.sessions() == 1
    """)
    run(project, str(path)).assert_outcomes(passed=1)


def test_a_failure_shows_the_end_of_the_log(project: pytest.Pytester) -> None:
    path = project.makepyfile("""
        def test_it(kamailio):
            assert kamailio.client().ask("INVITE", "sip:0900@example.com").status == 404
    """)
    result = run(project, str(path))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E  *assert 403 == 404",
            "E  *where 403 = <403 No premium numbers to INVITE from *>.status",
            "*- kemi: end of *kamailio.log -*",
            "*Listening on*",
        ]
    )


CFG = '#!KAMAILIO\nloadmodule "no_such_module.so"\nrequest_route { exit; }\n'


def test_what_is_missing_is_told_with_the_remedy(project: pytest.Pytester) -> None:
    project.makefile(".cfg", other=CFG)
    project.makefile(".yaml", wrong="nat:\n  tests: [contcat]\n")
    path = project.makepyfile("""
        import pytest
        from kemi.testing import fixtures

        def test_program(monkeypatch, request):
            monkeypatch.setattr(fixtures, "kamailio_environment", lambda: {"PATH": "/nowhere"})
            request.getfixturevalue("kamailio")

        @pytest.mark.kemi(cfg="other.cfg")
        def test_module(kamailio):
            pass

        @pytest.mark.kemi(settings="wrong.yaml")
        def test_settings(kamailio):
            pass
    """)
    result = run(project, str(path))
    result.assert_outcomes(failed=1, errors=2)
    result.stdout.fnmatch_lines_random(
        [
            "the fixture 'kamailio' runs a real Kamailio: expected the program kamailio, found none in /nowhere; "
            "on Debian: apt install kamailio kamailio-python3-modules kamailio-sqlite-modules python3-yaml",
            "Kamailio has no module no_such_module; on Debian: apt install kamailio-extra-modules",
            "these routes do not start: SettingsError: wrong.yaml:2: nat.tests: unknown test 'contcat'; "
            "did you mean 'contact'?",
        ]
    )
