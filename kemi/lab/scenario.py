"""Whole calls, from registration to hang-up, judged: one pair of NATs, or every pair."""

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kemi.deadline import DeadlineError, wait_until
from kemi.lab.call import Call
from kemi.lab.errors import LabError
from kemi.lab.event import Event, OnEvent, ignore
from kemi.lab.lab import Lab
from kemi.lab.nat import PRESETS, Nat
from kemi.lab.phone import PUBLIC, Phone
from kemi.lab.result import RESULT_FILE, CallResult, Heard
from kemi.relay_control import RelayError

Side = Literal["caller", "callee"]

_AT_ONCE = 8
_MARGIN = 0.3
"""Seconds listened beyond those asked for: the first packets may fall into the time before the holes are open."""


@dataclass(frozen=True)
class Pairing:
    """A call to be made; a NAT of None is a phone on the public internet."""

    caller: str
    callee: str
    caller_nat: Nat | None
    callee_nat: Nat | None
    seconds: float
    ended_by: Side
    folder: str

    @property
    def label(self) -> str:
        return f"{_name(self.caller_nat)} -> {_name(self.callee_nat)}"


def nat_call(
    run_dir: Path,
    caller_nat: Nat | None,
    callee_nat: Nat | None,
    seconds: float = 5,
    ended_by: Side = "caller",
    on_event: OnEvent = ignore,
) -> CallResult:
    """One call in a laboratory of its own, in which each side has to hear the other for `seconds`.

    The result, with a problem if there was one, is also written to `run_dir`. Raises LabError when the laboratory
    cannot be built, NotProvenError when a NAT is not what it claims.
    """
    pairing = Pairing("alice", "bob", caller_nat, callee_nat, seconds, ended_by, folder=".")
    with Lab(run_dir, keep=True, on_event=on_event) as lab:
        lab.kamailio()
        lab.trust(*(nat for nat in (caller_nat, callee_nat) if nat))
        result = _Attempt(lab, pairing).result()
        _require_no_transactions(lab)
    return result


def grid(
    run_dir: Path,
    nats: Sequence[Nat] = PRESETS,
    seconds: float = 5,
    ended_by: Side | None = None,
    on_event: OnEvent = ignore,
) -> Iterator[CallResult]:
    """A call for every pair of `nats`, eight at a time through one server; results come as they complete.

    Each pair has phones and gateways of its own. One side hangs up in all calls, or both take turns. Raises as
    `nat_call`.
    """
    with Lab(run_dir, keep=True, on_event=on_event) as lab:
        lab.kamailio()
        lab.trust(*nats)
        pairings = [
            Pairing(
                caller=f"alice{number}",
                callee=f"bob{number}",
                caller_nat=caller_nat,
                callee_nat=callee_nat,
                seconds=seconds,
                ended_by=ended_by or ("caller" if number % 2 else "callee"),
                folder=f"{_slug(caller_nat)}--{_slug(callee_nat)}",
            )
            for number, (caller_nat, callee_nat) in enumerate(itertools.product(nats, nats), start=1)
        ]
        lab.subscribe(*(name for pairing in pairings for name in (pairing.caller, pairing.callee)))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            calls = [pool.submit(_Attempt(lab, pairing).result) for pairing in pairings]
            try:
                for call in as_completed(calls):
                    yield call.result()
            finally:
                pool.shutdown(cancel_futures=True)
        _require_no_transactions(lab)


class _Attempt:
    """One pairing, tried: phones come, register, call, listen, hang up and go."""

    def __init__(self, lab: Lab, pairing: Pairing) -> None:
        self._lab = lab
        self._pairing = pairing
        self._folder = lab.run_dir / pairing.folder

    def result(self) -> CallResult:
        pairing = self._pairing
        caller = self._phone(pairing.caller, pairing.caller_nat)
        callee = self._phone(pairing.callee, pairing.callee_nat)
        captures = {
            "caller": caller.record(self._folder / "caller.pcap"),
            "callee": callee.record(self._folder / "callee.pcap"),
            "server": self._lab.capture(
                self._lab.server.host,
                self._folder / "server.pcap",
                only=(caller.party.public_address, callee.party.public_address),
            ),
        }
        heard: tuple[Heard, ...] = ()
        problem, call, seconds, left = "", None, 0.0, 0
        try:
            for phone in (caller, callee):
                self._register(phone)
            self._tell("calling", caller, f"sends INVITE to {callee.account.uri}")
            call = caller.call(callee)
            seconds = self._talk(call)
            heard = self._heard(call)
            left = self._left(call)
            problem = _judge(pairing.seconds, heard, left)
        except (LabError, RelayError, DeadlineError) as error:
            problem = str(error)
            heard = heard or (self._heard(call) if call else ())
        for phone in (caller, callee):
            phone.stop()
        captures["server"].stop()
        result = CallResult(
            caller=caller.name,
            callee=callee.name,
            caller_nat=caller.party.nat,
            callee_nat=callee.party.nat,
            ended_by=pairing.ended_by,
            heard=heard,
            seconds=round(seconds, 2),
            relay_sessions_left=left,
            ok=not problem,
            problem=problem,
            captures={name: capture.path for name, capture in captures.items()},
            parties=(caller.party, callee.party),
            call_id=call.call_id if call else "",
        )
        (self._folder / RESULT_FILE).write_text(result.to_json())
        if problem:
            self._tell("problem", caller, problem)
        self._tell("result", caller, f"{pairing.label}: {'failed' if problem else 'ok'}")
        return result

    def _phone(self, name: str, nat: Nat | None) -> Phone:
        return self._lab.phone(name, behind=self._lab.gateway(nat) if nat else None)

    def _register(self, phone: Phone) -> None:
        phone.register()
        for contact in self._lab.server.contacts(phone.name):
            address = contact["Address"].partition("@")[2]
            received = contact["Received"].removeprefix("sip:") if "sip:" in contact["Received"] else address
            text = f"as {phone.account.uri}: contact {address}, received from {received}"
            self._tell("registered", phone, text)

    def _talk(self, call: Call) -> float:
        call.established()
        self._tell(
            "established", call.callee, f"answered; sound goes through the relay at {self._relay_address()}"
        )
        call.listen(self._pairing.seconds + _MARGIN)
        ending = call.caller if self._pairing.ended_by == "caller" else call.callee
        ending.hang_up()
        seconds = call.closed()
        self._tell("ended", ending, "hung up with BYE")
        return seconds

    def _heard(self, call: Call) -> tuple[Heard, ...]:
        heard = tuple(call.heard_by(phone) for phone in (call.caller, call.callee))
        for phone, one in zip((call.caller, call.callee), heard, strict=True):
            self._tell(
                "heard",
                phone,
                f"heard the {one.frequency_hz:g} Hz of {one.speaker} for {one.seconds:.1f} s, "
                f"{one.packets} packets, {one.lost} lost",
            )
        return heard

    def _left(self, call: Call) -> int:
        from_tag = call.from_tag()
        try:
            wait_until(
                f"the relay to end the session of {call.call_id}",
                lambda: not self._lab.relay.sessions_of(call.call_id, from_tag),
                seconds=2,
            )
        except DeadlineError:
            return self._lab.relay.sessions_of(call.call_id, from_tag)
        return 0

    def _relay_address(self) -> str:
        return self._lab.relay.host.address

    def _tell(self, kind: str, phone: Phone, text: str) -> None:
        self._lab.tell(Event(kind, phone.name, text, self._pairing.label))


def _judge(seconds: float, heard: Sequence[Heard], left: int) -> str:
    problems = [
        f"{one.listener} heard {one.speaker}'s {one.frequency_hz:g} Hz for {one.seconds:g} s "
        f"({one.packets} packets), expected {seconds:g} s"
        for one in heard
        if one.seconds < seconds
    ]
    if left:
        problems.append(f"the relay still holds {left} session of the call, expected none")
    return "; ".join(problems)


def _require_no_transactions(lab: Lab) -> None:
    wait_until("Kamailio to finish all transactions", lambda: not lab.server.open_transactions(), seconds=5)


def _name(nat: Nat | None) -> str:
    return nat.name if nat else PUBLIC


def _slug(nat: Nat | None) -> str:
    return _name(nat).replace(" ", "-")
