"""The Kamailio that is checked for."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache

from kemi.stubs.exports import versions


@dataclass(frozen=True, order=True)
class Target:
    """A Kamailio version as (major, minor)."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def parse(cls, text: str) -> Target:
        """Raises ValueError for a version whose functions are not known."""
        if text not in versions():
            expected = ", ".join(versions())
            raise ValueError(f"expected a Kamailio version out of {expected}, found {text!r}")
        major, _, minor = text.partition(".")
        return cls(int(major), int(minor))

    @property
    def forgives(self) -> bool:
        """From 5.8 on app_python3 clears errors after a callback, so a missing or void one costs nothing else."""
        return (self.major, self.minor) >= (5, 8)

    @property
    def defines(self) -> tuple[str, ...]:
        """What Kamailio itself defines for kamailio.cfg."""
        return (f"KAMAILIO_{self.major}", f"KAMAILIO_{self.major}_{self.minor}")


@cache
def installed() -> Target | None:
    """The version of the Kamailio on this machine's PATH; None without one, or if its functions are not known."""
    program = shutil.which("kamailio", path="/usr/local/sbin:/usr/sbin:/usr/bin") or shutil.which("kamailio")
    if program is None:
        return None
    output = subprocess.run([program, "-v"], capture_output=True, text=True, timeout=10, check=False).stdout
    match = re.search(r"version: kamailio (\d+\.\d+)", output)
    return Target.parse(match[1]) if match and match[1] in versions() else None


def default() -> Target:
    """The installed version, else the oldest that is known: what is right there is right later."""
    return installed() or Target.parse(versions()[0])
