"""Counters and gauges for Prometheus (WITH_METRICS), beside those that Kamailio keeps by itself; docs/operations.md.

Module xhttp_prom holds them in shared memory and answers ``GET /metrics``. It takes a lock and compares names for each
number that it gets, a quarter of a microsecond, so what counts every request is collected here, in the process,
and handed on once a second at most.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from time import monotonic

import KSR

from kemi.deadline import DeadlineError
from kemi.media import NO_RELAY
from kemi.nat import READ_SDP
from kemi.relay_control import RelayControl, RelayError
from kemi.router import Rule
from kemi.settings import NatTest, Settings
from kemi.settings_file import SettingsError

# Names as kamailio.cfg declares them; xhttp_prom puts "kamailio_" in front.
DECISIONS = "kemi_decisions_total"
REGISTRATIONS = "kemi_registrations_total"
NAT_SIGNS = "kemi_nat_signs_total"
RELAY_REQUESTS = "kemi_relay_requests_total"
EXCEPTIONS = "kemi_exceptions_total"
LOADS = "kemi_loads_total"
MEMORY = "kemi_process_memory_bytes"
RELAY_UP = "kemi_relay_up"
RELAY_SESSIONS = "kemi_relay_sessions"
RELAY_CREATED = "kemi_relay_sessions_created_total"
RELAY_TIMED_OUT = "kemi_relay_sessions_timed_out_total"
RELAY_PACKETS = "kemi_relay_packets_total"

FLUSH_SECONDS = 1.0
# Registrations behind a NAT within this time that are asked for all signs; what they show is taken for the others too.
SAMPLE = 10
MEMORY_SECONDS = 10.0
# A relay that does not answer must not hold up the worker that serves the scrape.
RELAY_SECONDS = 0.2

_PAGE = os.sysconf("SC_PAGE_SIZE")
_RELAY = re.compile(r"udp:(?P<host>[^\s=]+):(?P<port>\d+)")


class Metrics:
    """What one process counts. The numbers of its last second may still be here when Prometheus asks."""

    def __init__(self, settings: Settings, *, sees_phones: bool = True) -> None:
        # What a registrar behind edges would find are signs of the edges.
        names = settings.nat.tests if sees_phones else ()
        # A REGISTER has no SDP, and nat_uac_test logs an error for other bodies.
        tests = ((name, NatTest[name]) for name in names)
        self._tests = tuple((name, int(test)) for name, test in tests if not test & READ_SDP)
        #: Requests by the rule that decided them.
        self.decisions: defaultdict[Rule, int] = defaultdict(int)
        #: When to :meth:`flush`, by the clock of ``monotonic()``.
        self.due = 0.0
        self._others: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._signs: defaultdict[str, int] = defaultdict(int)
        self._nated = 0
        self._memory_due = 0.0

    def registered(self, nated: bool, has_sign: Callable[[int], bool]) -> None:
        """The registrar has answered a REGISTER; `has_sign` asks one test of nat_uac_test."""
        if not nated:
            self._others[REGISTRATIONS, "none"] += 1
            return
        self._others[REGISTRATIONS, "nat"] += 1
        self._nated += 1
        # All six tests take as long as half the rules: a sample will do for the rest of this second.
        if self._nated <= SAMPLE:
            for name, bit in self._tests:
                if has_sign(bit):
                    self._signs[name] += 1

    def relay_answered(self, code: int) -> None:
        """The media relay was asked, or there was nothing to ask; `code` is what ``rtpproxy_manage`` gave."""
        if code > 0:
            self._others[RELAY_REQUESTS, "answered"] += 1
        elif code == NO_RELAY:
            self._others[RELAY_REQUESTS, "unavailable"] += 1

    def caught(self) -> None:
        """An exception was caught."""
        KSR.xhttp_prom.counter_inc_l0(EXCEPTIONS, 1)

    def loaded(self, outcome: str) -> None:
        """This process has loaded routes, or refused to."""
        KSR.xhttp_prom.counter_inc_l1(LOADS, 1, outcome)

    def flush(self) -> None:
        """Hand on what has been collected."""
        now = monotonic()
        self.due = now + FLUSH_SECONDS
        inc = KSR.xhttp_prom.counter_inc_l1
        for rule, number in self.decisions.items():
            inc(DECISIONS, number, getattr(rule, "__name__", "unnamed"))
        self.decisions.clear()
        for (name, label), number in self._others.items():
            inc(name, number, label)
        self._others.clear()
        for test, number in self._signs.items():
            inc(NAT_SIGNS, round(number * max(1, self._nated / SAMPLE)), test)
        self._signs.clear()
        self._nated = 0
        if now >= self._memory_due:
            self._memory_due = now + MEMORY_SECONDS
            _set(MEMORY, _memory(), str(os.getpid()))


def _memory() -> int:
    """Bytes that only this process has in memory."""
    _, resident, shared, *_ = Path("/proc/self/statm").read_text().split()
    return (int(resident) - int(shared)) * _PAGE


def _set(name: str, value: float, label: str) -> None:
    KSR.xhttp_prom.gauge_set_l1(name, str(value), label)


class Exporter:
    """Answers ``GET /metrics`` for those who may ask.

    Raises SettingsError for `metrics.allow` with something that is no network.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            self._allowed = tuple(ip_network(text) for text in settings.metrics.allow)
        except ValueError as problem:
            raise SettingsError(
                f"metrics.allow: expected addresses or networks, such as 10.0.0.0/8; found: {problem}"
            ) from None
        self._relays = relays()

    def allows(self, source: str) -> bool:
        """May this address ask?"""
        address = ip_address(source)
        return any(address in network for network in self._allowed)

    def answer(self) -> None:
        """Bring the gauges up to date, and have xhttp_prom answer the request at hand."""
        for relay in self._relays:
            _ask(relay)
        KSR.xhttp_prom.dispatch()


def relays() -> list[RelayControl]:
    """The RTPProxies of kamailio.cfg that are reached over UDP: "1 == udp:A=1 udp:B=3", "udp:A"."""
    if not hasattr(KSR, "rtpproxy"):
        return []
    found = _RELAY.finditer(str(KSR.kx.get_def("RTPPROXY_SOCK") or ""))
    return [RelayControl(relay["host"].strip("[]"), int(relay["port"])) for relay in found]


def _ask(relay: RelayControl) -> None:
    _set(RELAY_UP, 0, relay.url)
    with suppress(RelayError, DeadlineError, OSError):
        totals = relay.totals(RELAY_SECONDS)
        _set(RELAY_UP, 1, relay.url)
        _set(RELAY_SESSIONS, totals.active, relay.url)
        _set(RELAY_CREATED, totals.created, relay.url)
        _set(RELAY_TIMED_OUT, totals.timed_out, relay.url)
        for what in ("received", "relayed", "discarded"):
            packets = getattr(totals, f"packets_{what}")
            KSR.xhttp_prom.gauge_set_l2(RELAY_PACKETS, str(packets), relay.url, what)
