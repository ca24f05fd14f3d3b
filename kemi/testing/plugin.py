"""pytest plugin: `import KSR` works in tests; fixtures for routes on a fake and on a real Kamailio.

It imports little, since every run of pytest on this machine loads it.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kemi.testing.fake_server import FakeServer
    from kemi.testing.ksr import FakeKSR
    from kemi.testing.options import Options
    from kemi.testing.server import KamailioServer

_MESSAGES_SHOWN = 3
_LINES_SHOWN = 40


class StandIn(ModuleType):
    """The module ``KSR`` outside Kamailio: hands every access on to the fake that is in use."""

    current: FakeKSR | None = None

    def __getattr__(self, name: str) -> Late:
        if name.startswith("__"):
            raise AttributeError(name)
        return _late(self, name)

    def look_up(self, path: tuple[str, ...]) -> Any:
        """What the fake in use has under ``KSR.a.b``.

        Raises AttributeError if that Kamailio has no such name, RuntimeError while no fake is in use.
        """
        if self.current is None:
            raise RuntimeError(
                f"KSR.{'.'.join(path)} was used outside Kamailio and outside a test with the fixture 'ksr' or "
                "'router'; let the test take one, and call nothing of KSR while a module is imported"
            )
        found: Any = self.current.api
        for name in path:
            found = getattr(found, name)
        return found


class Late:
    """A name below ``KSR``: looked up each time it is called, so a module may keep it from its import on.

    While a fake is in use, a name that it does not have is an AttributeError at once.
    """

    def __init__(self, module: StandIn, *path: str) -> None:
        self._module = module
        self._path = path

    def __getattr__(self, name: str) -> Late:
        if name.startswith("__"):
            raise AttributeError(name)
        return _late(self._module, *self._path, name)

    def __call__(self, *arguments: object) -> Any:
        return self._module.look_up(self._path)(*arguments)

    def __repr__(self) -> str:
        return f"<KSR.{'.'.join(self._path)} of the fake in use>"


def _late(module: StandIn, *path: str) -> Late:
    if module.current is not None:
        module.look_up(path)
    return Late(module, *path)


def install() -> StandIn | None:
    """Make ``import KSR`` give the stand-in. None inside Kamailio, whose own KSR stays."""
    present = sys.modules.setdefault("KSR", StandIn("KSR"))
    return present if isinstance(present, StandIn) else None


@contextmanager
def using(fake: FakeKSR) -> Iterator[FakeKSR]:
    """Within the block, ``KSR`` is this fake. Raises RuntimeError inside Kamailio."""
    module = install()
    if module is None:
        raise RuntimeError("this is a real Kamailio: its KSR cannot be replaced by a fake")
    before, module.current = module.current, fake
    try:
        yield fake
    finally:
        module.current = before


@contextmanager
def checked(fake: FakeKSR) -> Iterator[FakeKSR]:
    """Like `using`; at its end an AssertionError if anything misused the fake, also where a guard swallowed it."""
    with using(fake):
        yield fake
    assert not fake.misuse, "KSR was misused: " + "; ".join(fake.misuse)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Before any conftest.py, which may import modules that import KSR."""
    install()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "kemi_settings", "settings file of the routes under test (default: kemi.yaml, if there is one)"
    )
    parser.addini("kemi_cfg", "kamailio.cfg of the fixture 'kamailio' (default: the one of kemi)")
    parser.addini("kemi_defines", "switches of kamailio.cfg for all tests, such as WITH_NAT", type="args")
    parser.addini("kemi_version", "Kamailio that the fake plays: 5.6, 6.0 or 6.1", default="5.6")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "kemi(defines=[], values={}, users={}, settings=None, cfg=None, version=None, own=[], modules=[], htables=[]): "
        "what the fixtures ksr, router, kamailio and lab start with",
    )


@pytest.fixture
def ksr(request: pytest.FixtureRequest) -> Iterator[FakeKSR]:
    """A fake Kamailio, new for each test, behind ``import KSR``.

    The test fails if anything misused it; a test that wants the misuse clears ``ksr.misuse``.
    """
    from kemi.testing.fixtures import fake_kamailio

    with checked(fake_kamailio(_options(request))) as fake:
        yield fake


@pytest.fixture
def router(request: pytest.FixtureRequest, ksr: FakeKSR) -> FakeServer:
    """Your routes, as kemi.yaml names them, on the fake Kamailio: ``router.handle(invite("bob")) == RELAY``."""
    from kemi.settings_file import SettingsError
    from kemi.testing.fake_server import FakeServer

    try:
        return FakeServer.load(ksr, _options(request).settings)
    except SettingsError as problem:
        raise _failure(problem) from None


@pytest.fixture
def kamailio(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KamailioServer]:
    """A real Kamailio on loopback with your routes: ``kamailio.client("alice").invite("sip:bob@example.com")``."""
    from kemi.testing.fixtures import real_kamailio
    from kemi.testing.process import ServerError

    options = _options(request)
    with ExitStack() as stack:
        try:
            server = stack.enter_context(real_kamailio(options, tmp_path_factory.mktemp("k")))
        except ServerError as problem:
            raise _failure(problem) from None
        yield server


def _failure(problem: Exception) -> BaseException:
    """The test fails by what stands in its way: the text says it all, where it was noticed helps nobody."""
    return pytest.fail.Exception(str(problem), pytrace=False)


def _options(request: pytest.FixtureRequest) -> Options:
    from kemi.testing.options import OptionsError, options_of

    try:
        return options_of(request)
    except OptionsError as problem:
        raise _failure(problem) from None


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say which rule decided what, where a test expected another verdict."""
    told = sys.modules.get("kemi.testing.handled")
    if told is None or op != "==":
        return None
    for handled, expected in ((left, right), (right, left)):
        if isinstance(handled, told.Handled) and isinstance(expected, told.VERDICTS):
            lines: list[str] = told.explain(handled, expected)
            return lines
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show beside a failure what became of the last messages, or the last calls of KSR, and Kamailio's log."""
    report = yield
    used = getattr(item, "funcargs", {})
    if report.when == "call" and report.failed:
        if "router" in used and hasattr(used["router"], "handled"):
            told = "\n\n".join(str(handled) for handled in used["router"].handled[-_MESSAGES_SHOWN:])
            report.sections.append(("kemi: what became of each message", told or "none was handled"))
        elif "ksr" in used and hasattr(used["ksr"], "calls"):
            lines = [str(call) for call in used["ksr"].calls[-_LINES_SHOWN:]]
            report.sections.append(("kemi: calls of KSR", "\n".join(lines) or "none"))
        if "kamailio" in used and hasattr(used["kamailio"], "log_text"):
            lines = used["kamailio"].log_text().splitlines()[-_LINES_SHOWN:]
            report.sections.append((f"kemi: end of {used['kamailio'].log}", "\n".join(lines)))
    return report
