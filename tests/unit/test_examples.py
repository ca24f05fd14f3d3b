"""The examples do what they say, loaded from their own settings files."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from kemi.router import Router
from kemi.settings_file import load
from kemi.testing.builders import invite
from kemi.testing.ksr import FakeKSR
from tests.unit.serving import MakeServer, Server

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def examples_on_the_path() -> Iterator[None]:
    sys.path.append(str(EXAMPLES))
    yield
    sys.path.remove(str(EXAMPLES))


def _router(name: str) -> type[Router]:
    settings = load(EXAMPLES / f"{name}.yaml")
    module, _, class_name = settings.router.partition(":")
    router = getattr(importlib.import_module(module), class_name)
    assert isinstance(router, type)
    assert issubclass(router, Router)
    return router


def _called(server: Server, user: str) -> int | None:
    server.register(user, f"sip:{user}@198.51.100.20:5060")
    answer = server.receive(invite(user))
    return answer.code if answer else None


def test_every_example_has_settings_that_load() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == {path.stem for path in EXAMPLES.glob("*.yaml")}
    for name in names:
        assert issubclass(_router(name), Router)


def test_the_readmes_example_is_the_file() -> None:
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    _, _, rest = readme.partition("```python\n")
    shown, _, _ = rest.partition("```")
    _, _, code = (EXAMPLES / "premium_numbers.py").read_text(encoding="utf-8").partition("\n\n")
    assert shown.partition("\n")[2].strip() == code.strip()


def test_premium_numbers_are_refused(make_server: MakeServer, ksr: FakeKSR) -> None:
    server = make_server(router=_router("premium_numbers"))
    assert _called(server, "0900123") == 403
    assert _called(server, "bob") is None
    assert len(ksr.relayed) == 1


@pytest.mark.parametrize(("hour", "code"), [(7, 480), (8, None), (17, None), (18, 480)])
def test_the_reception_rings_in_office_hours(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch, hour: int, code: int | None
) -> None:
    router = _router("office_hours")
    monkeypatch.setattr(router, "now", lambda _self: datetime(2026, 1, 5, hour))
    server = make_server(router=router)
    assert _called(server, "reception") == code
    assert _called(server, "bob") is None
