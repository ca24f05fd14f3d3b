"""pytest plugin: `import KSR` works in tests, and the fixture `ksr` is a fresh fake Kamailio behind it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kemi.testing.ksr import FakeKSR


class StandIn(ModuleType):
    """The module ``KSR`` outside Kamailio: hands every access on to the fake that is in use."""

    current: FakeKSR | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self.current is None:
            raise RuntimeError(
                f"KSR.{name} was used outside Kamailio and outside a test with the fixture 'ksr'; "
                "let the test take the fixture, and read nothing from KSR while a module is imported"
            )
        return getattr(self.current.api, name)


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


@pytest.fixture
def ksr() -> Iterator[FakeKSR]:
    """A fake Kamailio, new for each test, behind ``import KSR``.

    The test fails if anything misused it; a test that wants the misuse clears ``ksr.misuse``.
    """
    from kemi.testing.ksr import FakeKSR

    with checked(FakeKSR()) as fake:
        yield fake
