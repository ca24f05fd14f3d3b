"""What a call in the laboratory came to: plain values, stored as JSON beside the captures."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULT_FILE = "result.json"


@dataclass(frozen=True)
class Party:
    """A phone as the topology picture shows it."""

    name: str
    nat: str
    """Name of the NAT it sits behind, ``public`` when there is none."""
    private_address: str
    """Address of the phone itself; for a public phone the same as `public_address`."""
    public_address: str
    """Address the internet sees."""


@dataclass(frozen=True)
class Heard:
    """What one phone heard of another, decoded from the RTP that reached the listener's own interface."""

    listener: str
    speaker: str
    frequency_hz: float
    """The speaker's tone."""
    seconds: float
    """Time during which that tone dominated what the listener received."""
    packets: int
    lost: int
    """Packets missing in the RTP sequence (RFC 3550, section A.3: expected minus received)."""


@dataclass(frozen=True)
class CallResult:
    """One call: who, through which NATs, what was heard, and what was left behind."""

    caller: str
    callee: str
    caller_nat: str
    callee_nat: str
    ended_by: str
    """``caller`` or ``callee``: the side that sent BYE."""
    heard: tuple[Heard, ...]
    seconds: float
    """Time from answer to hang-up."""
    relay_sessions_left: int
    """Sessions of this call that the relay still holds after the hang-up; 0 is right."""
    ok: bool
    problem: str
    """Empty when `ok`; otherwise what was expected and what was found."""
    captures: Mapping[str, Path]
    """Capture files; the keys are ``caller``, ``callee`` and ``server``."""
    parties: tuple[Party, ...] = ()
    """Caller, then callee."""
    call_id: str = ""
    """Call-ID of the INVITE; empty when none was sent."""

    def to_json(self) -> str:
        """This result as JSON text; capture paths are written as they are."""
        plain = asdict(self) | {"captures": {name: str(path) for name, path in self.captures.items()}}
        return json.dumps(plain, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "CallResult":
        """The result that `to_json` wrote.

        Raises ValueError when the text is not JSON or lacks a field.
        """
        try:
            plain: dict[str, Any] = json.loads(text)
            return cls(
                **plain
                | {
                    "heard": tuple(Heard(**heard) for heard in plain["heard"]),
                    "parties": tuple(Party(**party) for party in plain["parties"]),
                    "captures": {name: Path(path) for name, path in plain["captures"].items()},
                }
            )
        except (TypeError, KeyError) as error:
            raise ValueError(f"not a call result: {error}") from error
