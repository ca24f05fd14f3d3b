"""What the tests of calls have in common: two people talk, hang up, and nothing is left behind."""

import time
from collections.abc import Callable

from kemi.deadline import wait_until
from kemi.lab.call import Call
from kemi.lab.lab import Lab
from kemi.lab.nat import PRESETS, Nat
from kemi.lab.phone import Phone

SECONDS = 3.0
"""How long each side has to hear the other."""

MARGIN = 0.3
"""Listened beyond that: the first packets may be lost until the holes are open."""


def phone(lab: Lab, name: str, nat: Nat | None, auto_answer: bool = True) -> Phone:
    """A phone that has logged in, behind a gateway of its own or, without a NAT, on the public internet."""
    if nat:
        lab.trust(*PRESETS)
    made = lab.phone(name, behind=lab.gateway(nat) if nat else None, auto_answer=auto_answer)
    made.register()
    return made


def require_heard(call: Call, since: float | None = None, seconds: float = SECONDS) -> None:
    """Fail unless caller and callee heard each other for `seconds`, since the call began or since ``time.time()``."""
    for listener in (call.caller, call.callee):
        heard = call.heard_by(listener, since)
        assert heard.seconds >= seconds, f"{call.caller} -> {call.callee}: {heard}"


def require_silence(call: Call, seconds: float = 1) -> None:
    """Fail if for `seconds` from now on anybody hears the other."""
    since = time.time()
    time.sleep(seconds)  # silence is no event
    for listener in (call.caller, call.callee):
        heard = call.heard_by(listener, since)
        # A packet or two may have been on its way.
        assert heard.seconds <= 0.1, f"on hold, and yet: {heard}"


def talk(call: Call) -> None:
    """Let both sides hear each other from now on, and fail unless they do."""
    since = time.time()
    call.listen_further(SECONDS + MARGIN)
    require_heard(call, since)


def require_nothing_left(lab: Lab) -> None:
    """Fail unless the relay has ended all sessions and Kamailio has answered everything."""
    eventually("the relay to hold no session", lambda: lab.relay.active_sessions() == 0)
    eventually("Kamailio to have no open transaction", lambda: lab.server.open_transactions() == 0)


def eventually(what: str, holds: Callable[[], bool], seconds: float = 3) -> None:
    """Wait until it holds. Raises DeadlineError, which names `what`."""
    wait_until(what, holds, seconds)
