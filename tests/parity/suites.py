"""What is compared: per set of defines which cases, on what database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

from tests.parity.agent import PASSWORD
from tests.parity.cases.bodies import bodies
from tests.parity.cases.calls import calls, calls_over_tcp, calls_over_tls
from tests.parity.cases.dialogs import dialogs
from tests.parity.cases.digest import NONCE_SECONDS, digest, stale
from tests.parity.cases.endings import endings
from tests.parity.cases.features import (
    accounted,
    aliases,
    blocked,
    domains,
    numbers,
    pstn,
    short_numbers,
    together,
    trusted,
    voicemail,
)
from tests.parity.cases.floods import floods
from tests.parity.cases.forks import forks
from tests.parity.cases.http import http
from tests.parity.cases.keepalives import INTERVAL, keepalives
from tests.parity.cases.presence import presence
from tests.parity.cases.registrations import registrations, registrations_over_tls
from tests.parity.cases.requests import fields, methods
from tests.parity.cases.strays import strays
from tests.parity.cases.timeouts import PARAMETERS, timeouts
from tests.parity.cases.torture import DOMAINS, torture
from tests.parity.configuration import Options
from tests.parity.scene import Case
from tests.parity.world import DOMAIN, Row

#: The servers repeat nothing and give up on nothing by themselves: what comes is what a case caused, however slow the
#: machine is.
QUIET = {"tm.retr_timer1": 30000, "tm.retr_timer2": 30000, "tm.fr_timer": 600000, "tm.fr_inv_timer": 600000}


def subscribers(cases: int) -> Iterable[Row]:
    """The users of all cases, with passwords in clear, as the stock configuration reads them."""
    statement = "INSERT INTO subscriber (username, domain, password, ha1, ha1b) VALUES (?, ?, ?, '', '')"
    for number in range(1, cases + 1):
        for name in ("alice", "bob", "bob1", "bob2", "bob3"):
            yield statement, (f"{name}-{number}", DOMAIN, PASSWORD)


@dataclass(frozen=True)
class Suite:
    """One set of defines: what the server is run with, and its cases."""

    name: str
    options: Options
    generators: Sequence[Callable[[], Iterable[Case]]]
    #: What is compared as well when there is time for all.
    more: Sequence[Callable[[], Iterable[Case]]] = ()
    #: The contents of the database beside its tables, given the number of cases.
    rows: Callable[[int], Iterable[Row]] = lambda _: ()
    domains: Sequence[str] = (DOMAIN, *DOMAINS)
    #: Tables that are compared when the server has stopped.
    tables: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name

    def fits(self, stock: Path) -> bool:
        """Does this stock file know all its defines? Some are younger than others."""
        text = stock.read_text()
        return all(define in text for define in self.options.defines)

    def complete(self) -> Suite:
        """The same with all its cases."""
        return replace(self, generators=(*self.generators, *self.more), more=())

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """All its cases. Raises ValueError if two have the same name."""
        cases = tuple(chain.from_iterable(generator() for generator in self.generators))
        names = [str(case) for case in cases]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(
                f"{self}: expected every case to have a name of its own, found twice: {sorted(twice)}"
            )
        return cases


COMMON = (registrations, endings, dialogs, forks, methods, fields, bodies, strays, torture, calls_over_tcp)

PRESENCE_TABLES = ("presentity", "active_watchers")
ALL = (
    "NAT",
    "NATSIPPING",
    "AUTH",
    "IPAUTH",
    "USRLOCDB",
    "ALIASDB",
    "SPEEDDIAL",
    "MULTIDOMAIN",
    "PSTN",
    "VOICEMAIL",
    "PRESENCE",
    "JSONRPC",
    "BLOCK3XX",
    "BLOCK401407",
    "ACCDB",
)
TOGETHER = (together, pstn, voicemail, blocked, aliases, short_numbers, domains, http, registrations)


def _quiet(*names: str) -> Options:
    return Options(tuple(f"WITH_{name}" for name in names), parameters=QUIET)


def everything(cases: int) -> Iterable[Row]:
    """The rows for all features at once."""
    yield from subscribers(cases)
    yield from numbers(cases)


NAT = Suite("NAT", Options(("WITH_NAT",), parameters=QUIET), (calls, *COMMON))

SUITES = (
    NAT,
    Suite(
        "NAT, tests 63",
        Options(("WITH_NAT",), nat_tests=63, parameters=QUIET),
        (calls, registrations, dialogs, forks, calls_over_tcp),
        (endings, methods, fields, bodies, strays, torture),
    ),
    Suite(
        "nothing",
        Options(parameters=QUIET),
        (registrations, methods, strays, torture, calls_over_tcp),
        (endings, dialogs, forks, fields, bodies),
    ),
    Suite(
        "NAT, AUTH, USRLOCDB",
        Options(("WITH_NAT", "WITH_AUTH", "WITH_USRLOCDB"), parameters=QUIET),
        (digest, registrations, methods, torture, calls_over_tcp),
        (endings, dialogs, forks, fields, bodies, strays),
        rows=subscribers,
        tables=("location",),
    ),
    Suite(
        "AUTH, stale nonces",
        Options(("WITH_AUTH",), parameters={**QUIET, "auth.nonce_expire": NONCE_SECONDS}),
        (stale,),
        rows=subscribers,
    ),
    Suite("NAT, ANTIFLOOD", Options(("WITH_NAT", "WITH_ANTIFLOOD"), parameters=QUIET), (floods,)),
    Suite("NAT, timers", Options(("WITH_NAT",), parameters=PARAMETERS), (timeouts,)),
    Suite("NAT, keepalives", Options(("WITH_NAT",), natping=INTERVAL, parameters=QUIET), (keepalives,)),
    Suite(
        "NAT, NATSIPPING",
        Options(("WITH_NAT", "WITH_NATSIPPING"), natping=INTERVAL, parameters=QUIET),
        (keepalives,),
    ),
    Suite("NAT, RTPENGINE", _quiet("NAT", "RTPENGINE"), (calls, forks), (endings, dialogs, bodies)),
    # In the stock file since 6.1.
    Suite("NAT, RTPRELAY", _quiet("NAT", "RTPRELAY"), (calls, dialogs, bodies), (endings, forks)),
    Suite("NAT, TLS", _quiet("NAT", "TLS"), (calls_over_tls, registrations_over_tls)),
    Suite("NAT, port 5070", replace(NAT.options, port=5070), (methods, together)),
    Suite("NAT, PSTN", _quiet("NAT", "PSTN"), (pstn,)),
    Suite("NAT, VOICEMAIL", _quiet("NAT", "VOICEMAIL"), (voicemail,)),
    Suite("NAT, BLOCK3XX", _quiet("NAT", "BLOCK3XX"), (blocked,)),
    Suite("NAT, BLOCK401407", _quiet("NAT", "BLOCK401407"), (blocked,)),
    Suite("NAT, ALIASDB", _quiet("NAT", "ALIASDB"), (aliases,), rows=numbers),
    Suite("NAT, SPEEDDIAL", _quiet("NAT", "SPEEDDIAL"), (short_numbers,), rows=numbers),
    Suite("NAT, MULTIDOMAIN", _quiet("NAT", "MULTIDOMAIN"), (domains,), rows=numbers),
    Suite("NAT, AUTH, IPAUTH", _quiet("NAT", "AUTH", "IPAUTH"), (trusted,), rows=everything),
    Suite("NAT, ACCDB", _quiet("NAT", "ACCDB"), (accounted,), tables=("acc", "missed_calls")),
    Suite("PRESENCE", _quiet("PRESENCE"), (presence,), tables=PRESENCE_TABLES),
    Suite(
        "NAT, PRESENCE, MSGREBUILD",
        _quiet("NAT", "PRESENCE", "MSGREBUILD"),
        (presence,),
        tables=PRESENCE_TABLES,
    ),
    Suite("JSONRPC", _quiet("JSONRPC"), (http,)),
    Suite("all together", _quiet(*ALL), TOGETHER, (digest, endings, dialogs, forks), rows=everything),
)
