"""The list of workloads, by the names that the command takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.arena import MYSQL, SQLITE
from bench.calls import Call, InDialog
from bench.rounds import WRITE_BACK
from bench.stateless import Challenge, Options, Register, RegisterWithDigest, Scanner, Unknown
from bench.workload import Workload

WRITE_THROUGH = 1


@dataclass(frozen=True)
class Place:
    """What servers need for a workload; workloads with the same place share their servers."""

    auth: bool = False
    #: Passwords from memory: kemi only, as `kemi run` and the stack have it.
    auth_cache: bool = False
    database: str = ""
    db_mode: int = 0
    relay: bool = False

    @property
    def defines(self) -> tuple[str, ...]:
        switches = {"WITH_AUTH": self.auth, "WITH_AUTH_CACHE": self.auth_cache}
        return ("WITH_NAT", "WITH_ANTIFLOOD", *(name for name, on in switches.items() if on))


@dataclass(frozen=True)
class Entry:
    """A workload and where it is done."""

    kind: type[Workload]
    place: Place = Place()
    #: Added to the title.
    storage: str = ""
    #: Contestants that do something else by design, and what.
    differs: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.kind.title}{', ' if self.storage else ''}{self.storage}"


_SCANNERS_ANSWERED = "answers scanners with 200"

# Calls last: a place with a relay is one of its own.
WORKLOADS: dict[str, Entry] = {
    "register": Entry(Register),
    "options": Entry(Options),
    "unknown": Entry(Unknown),
    "scanner": Entry(Scanner, differs={"python": _SCANNERS_ANSWERED, "lua": _SCANNERS_ANSWERED}),
    "in-dialog": Entry(InDialog, Place(relay=True)),
    "call": Entry(Call, Place(relay=True)),
    "digest": Entry(RegisterWithDigest, Place(auth=True, database=SQLITE)),
    "digest-cached": Entry(
        RegisterWithDigest, Place(auth=True, auth_cache=True, database=SQLITE), "WITH_AUTH_CACHE"
    ),
    "challenge": Entry(Challenge, Place(auth=True, database=SQLITE)),
}
STORED: dict[str, Entry] = {
    f"{name}-{database}-{short}": Entry(
        kind, Place(auth=auth, database=database, db_mode=mode), f"{title} {how}"
    )
    for name, kind, auth in (("register", Register, False), ("digest", RegisterWithDigest, True))
    for database, title in ((SQLITE, "SQLite"), (MYSQL, "MySQL"))
    for short, how, mode in (("through", "write-through", WRITE_THROUGH), ("back", "write-back", WRITE_BACK))
}
ALL = {**WORKLOADS, **STORED}
