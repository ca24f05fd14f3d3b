"""The pytest plugin in a user's own project: a folder, a fixture's name, and nothing else."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from kemi.testing.options import Options
from tests import documents

pytest_plugins = ["pytester"]

ROUTES = """
from kemi.router import Router
from kemi.verdict import Reply

class Routes(Router):
    def to_registered_contacts(self, request):
        return Reply(486, "Busy Here") if request.uri_user == "busy" else super().to_registered_contacts(request)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with routes and their settings."""
    pytester.makepyfile(routes=ROUTES)
    pytester.makefile(".yaml", kemi="router: routes:Routes\n")
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """As a user would, in a process of its own: the plugin comes in by its entry point."""
    return project.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_the_examples_of_the_document_pass(pytester: pytest.Pytester) -> None:
    documents.write("testing.md", pytester.path)
    run(pytester, "tests", "--ignore=tests/test_server.py", "--ignore=tests/test_lab.py").assert_outcomes(
        passed=10
    )


def test_a_failure_reads_as_the_document_shows(pytester: pytest.Pytester) -> None:
    documents.write("testing.md", pytester.path)
    result = run(pytester, "mistakes")
    result.assert_outcomes(failed=1)
    explained, story = documents.outputs("testing.md")
    result.stdout.fnmatch_lines(explained)
    result.stdout.fnmatch_lines([line.replace("[", "[[]") for line in story])


def test_the_document_explains_every_argument_of_the_marker() -> None:
    text = (documents.DOCS / "testing.md").read_text()
    assert re.findall(r"^\| `(\w+)` \| (?:all|`router`)", text, re.MULTILINE) == [
        "defines",
        "values",
        "users",
        "settings",
        "cfg",
        "version",
        "own",
        "modules",
        "htables",
    ]
    assert {item.name for item in fields(Options)} == set(
        re.findall(r"^\| `(\w+)` \| (?:all|`router`)", text, re.MULTILINE)
    )


def test_the_users_class_is_made_by_its_settings(project: pytest.Pytester) -> None:
    project.makepyfile("""
        from kemi.testing import invite
        from kemi.verdict import Reply
        from routes import Routes

        def test_busy(router):
            assert type(router.routes) is Routes
            assert router.handle(invite("busy")) == Reply(486, "Busy Here")
    """)
    run(project).assert_outcomes(passed=1)


def test_each_settings_file_has_the_module_beside_it(project: pytest.Pytester) -> None:
    for site in ("north", "south"):
        folder = project.mkdir(site)
        (folder / "kemi.yaml").write_text("router: routes:Routes\n")
        (folder / "routes.py").write_text(f"{ROUTES}SITE = {site!r}\n")
    project.makepyfile("""
        import pytest, routes, sys

        @pytest.mark.kemi(settings="north/kemi.yaml")
        def test_north(router):
            assert sys.modules[type(router.routes).__module__].SITE == "north"

        @pytest.mark.kemi(settings="south/kemi.yaml")
        def test_south(router):
            assert sys.modules[type(router.routes).__module__].SITE == "south"

        @pytest.mark.kemi(settings="north/kemi.yaml")
        def test_north_again(router):
            assert sys.modules[type(router.routes).__module__].SITE == "north"

        def test_own(router):
            assert type(router.routes) is routes.Routes  # the one that was imported before
    """)
    run(project).assert_outcomes(passed=4)


def test_the_routes_are_started_as_in_a_worker(project: pytest.Pytester) -> None:
    project.makepyfile(
        routes=f"{ROUTES}\n    def start(self, rank):\n        self.rank = rank\n",
        test_start="def test_it(router, ksr):\n    assert router.routes.rank == 1\n    assert ksr.calls == []\n",
    )
    run(project).assert_outcomes(passed=1)


def test_without_settings_the_routes_are_the_librarys(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from kemi.testing import request

        def test_keepalive(router):
            assert router.handle(request("OPTIONS", "sip:203.0.113.1")).status == 200
    """)
    run(pytester).assert_outcomes(passed=1)


def test_markers_override_the_ini_file_argument_by_argument(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\nkemi_defines = WITH_NAT\nkemi_version = 6.0\n")
    project.makefile(".yaml", strict="nat:\n  tests: [contact]\n")
    project.makepyfile("""
        import KSR, pytest

        pytestmark = pytest.mark.kemi(settings="strict.yaml", values={"PSTN_GW_IP": "203.0.113.5"})

        def test_ini(router):
            assert router.routes.features.nat
            assert router.routes.features.dialog_statistics  # a Kamailio 6
            assert router.routes.settings.nat.tests == ("contact",)
            assert KSR.pv.get("$sel(cfg_get.pstn.gw_ip)") == "203.0.113.5"

        @pytest.mark.kemi(defines=["WITH_AUTH"], version="5.6", own=["203.0.113.9"], htables=["mine"])
        def test_marker(router):
            assert router.routes.features.auth and not router.routes.features.nat
            assert router.routes.settings.nat.tests == ("contact",)
            assert not hasattr(KSR.auth, "www_challenge")
            assert KSR.is_myself("sip:203.0.113.9")
            assert KSR.htable.sht_sets("mine", "key", "value") == 1
    """)
    run(project, "--strict-markers").assert_outcomes(passed=2)


MISTAKES = {
    "define": ('@pytest.mark.kemi(defines=["WITH_NATT"])', "*kamailio.cfg knows no WITH_NATT; did you mean WITH_NAT?"),
    "argument": ("@pytest.mark.kemi(define=[])", "*unknown argument define; did you mean defines?"),
    "position": ('@pytest.mark.kemi("WITH_NAT")', "*expected arguments by name, found ('WITH_NAT',)"),
    "version": ('@pytest.mark.kemi(version="4.4")', "*expected one of 5.6, 5.7, *, found '4.4'"),
    "file": ('@pytest.mark.kemi(settings="no.yaml")', "kemi_settings: expected a file, found none: *no.yaml; *"),
    "settings": (
        '@pytest.mark.kemi(settings="wrong.yaml")',
        "wrong.yaml:2: nat.tests: unknown test 'contcat'; did you mean 'contact'?",
    ),
    "router": (
        '@pytest.mark.kemi(settings="nobody.yaml")',
        "nobody.yaml: router: expected a module 'nobody' beside the settings file, found none; *",
    ),
}  # fmt: skip


def test_a_mistake_in_what_is_asked_for_is_told_in_one_line(project: pytest.Pytester) -> None:
    project.makefile(".yaml", wrong="nat:\n  tests: [contcat]\n", nobody="router: nobody:Routes\n")
    tests = "".join(
        f"{marker}\ndef test_{label}(router):\n    pass\n\n" for label, (marker, _) in MISTAKES.items()
    )
    project.makepyfile(f"import pytest\n\n{tests}")
    result = run(project)
    result.assert_outcomes(errors=len(MISTAKES))
    for label, (_, text) in MISTAKES.items():
        result.stdout.fnmatch_lines([f"*ERROR at setup of test_{label} *", text], consecutive=True)
    result.stdout.no_fnmatch_line("*kemi/testing*")


def test_misuse_that_a_guard_swallowed_fails_the_test(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import KSR
        from contextlib import suppress
        from kemi.testing import invite

        def test_it(ksr):
            ksr.receive(invite())
            with suppress(ValueError):
                KSR.setflag(99)
    """)
    result = run(project)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*KSR was misused: KSR.setflag: flag 99: expected 0 to 31"])


def test_a_failure_with_the_fake_alone_shows_its_calls(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import KSR
        from kemi.testing import invite

        def test_it(ksr):
            ksr.receive(invite())
            assert KSR.siputils.has_totag() == 1
    """)
    result = run(project)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*- kemi: calls of KSR -*", "KSR.siputils.has_totag() -> -1"], consecutive=True
    )


def test_a_comparison_of_something_else_is_left_to_pytest(project: pytest.Pytester) -> None:
    project.makepyfile("""
        from kemi.testing import invite

        def test_it(router):
            handled = router.handle(invite("busy"))
            assert handled == "486"
    """)
    result = run(project)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E * assert <INVITE sip:busy@example.com: 486 Busy Here by to_registered_contacts> == '486'"]
    )
