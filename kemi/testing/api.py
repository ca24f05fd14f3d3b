"""The object that stands for Kamailio's KSR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kemi.stubs.exports import is_family, known_in

if TYPE_CHECKING:
    from kemi.testing.ksr import FakeKSR


class Api:
    """What the code under test sees as ``KSR`` and as its sub-modules (``KSR.sl``)."""

    def __init__(self, ksr: FakeKSR, family: str) -> None:
        self._ksr = ksr
        self._family = family

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        ksr = self._ksr
        full = f"{self._family}.{name}" if self._family else name
        if not self._family and ksr.has_family(name):
            self.__dict__[name] = Api(ksr, name)
            return self.__dict__[name]
        # To ask for what another version or module would have is no misuse: that is how code finds out.
        if not known_in(full) and not (not self._family and is_family(name)):
            ksr.misuse.append(ksr.unknown(full))
        ksr.export(full)
        return lambda *args: ksr.call(full, *args)
