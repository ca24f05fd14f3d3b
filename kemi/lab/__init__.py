"""A laboratory of network namespaces: real phones behind real NATs call each other through a real Kamailio.

    with Lab(Path("runs/example")) as lab:
        lab.kamailio()
        alice = lab.phone("alice", behind=lab.gateway(FULL_CONE))
        bob = lab.phone("bob", behind=lab.gateway(SYMMETRIC))
        alice.register()
        bob.register()
        call = alice.call(bob)
        call.established()
        call.listen(5)
        assert call.heard_by(alice).seconds >= 4.9
        bob.hang_up()
        call.closed()

Needs root; what is not installed is named, with the Debian packages that have it.
"""

from typing import TYPE_CHECKING, Any

from kemi.lab.errors import LabError, NotProvenError
from kemi.lab.nat import (
    FULL_CONE,
    PORT_RESTRICTED,
    PRESETS,
    RESTRICTED,
    SYMMETRIC,
    Filtering,
    Mapping,
    Nat,
)

if TYPE_CHECKING:
    from kemi.lab.lab import Lab

__all__ = [
    "FULL_CONE",
    "PORT_RESTRICTED",
    "PRESETS",
    "RESTRICTED",
    "SYMMETRIC",
    "Filtering",
    "Lab",
    "LabError",
    "Mapping",
    "Nat",
    "NotProvenError",
]


def __getattr__(name: str) -> Any:
    # The pytest plugin imports this package in every run: numpy and the command line wait until they are needed.
    if name == "Lab":
        try:
            from kemi.lab.lab import Lab
        except ModuleNotFoundError as problem:
            raise ModuleNotFoundError(
                f"{__name__}.Lab: needs the Python package {problem.name}: pip install 'kemi[lab]'"
            ) from problem
        return Lab
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
