"""The fake's functions in modules, as inside Kamailio, where each of them is found under its name once and for all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType

from kemi.testing.ksr import FakeKSR


@contextmanager
def as_modules(fake: FakeKSR) -> Iterator[ModuleType]:
    """Within the block, ``KSR`` is this fake, and its functions are attributes of modules.

    What is made of them, such as a handler that has written its rules out, is of use within the block only.
    """
    module = sys.modules.setdefault("KSR", ModuleType("KSR"))
    before = dict(vars(module))
    # For the stand-in of the pytest plugin, which would find what is missing here.
    vars(module)["current"] = fake
    for export in fake.exports.values():
        if export.module in fake.modules:
            family, _, name = export.name.rpartition(".")
            owner = _sub_module(module, family) if family else module
            vars(owner)[name] = partial(fake.call, export.name)
    try:
        yield module
    finally:
        vars(module).clear()
        vars(module).update(before)


def _sub_module(module: ModuleType, family: str) -> ModuleType:
    found = vars(module).setdefault(family, ModuleType(f"KSR.{family}"))
    assert isinstance(found, ModuleType)
    return found
