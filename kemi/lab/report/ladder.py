"""The ladder of a call: what two phones and Kamailio said to each other, and through which NATs.

A message that the phone's capture and the server's capture both hold is one arrow: the same first line,
Call-ID, CSeq and topmost branch, a moment apart. Where its addresses differ between the two captures, a NAT has
changed them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

from kemi.lab.report.message import Message
from kemi.lab.report.wire import Endpoint, Packet
from kemi.lab.result import Party

TRANSIT = 0.4
"""Most seconds from one capture to the next; a lost message is repeated after 0.5 s (RFC 3261, 17.1.1.2)."""


class Lane(IntEnum):
    """The columns, left to right."""

    CALLER = 0
    CALLER_NAT = 1
    KAMAILIO = 2
    CALLEE_NAT = 3
    CALLEE = 4


@dataclass(frozen=True)
class Arrow:
    """One message on its way between a phone and Kamailio."""

    start: Lane
    end: Lane
    sent: Packet | None
    """As the sender's side saw it; None when only the receiver did."""
    received: Packet | None
    """As the receiver's side saw it; None when it never arrived."""
    repeated: bool = False
    """True for a retransmission."""
    cause: Message | None = None
    """The message that Kamailio received and passed on as this one."""
    answers: Message | None = None
    """The request that Kamailio answers with this reply of its own."""

    @property
    def packet(self) -> Packet:
        """The packet nearest to the sender."""
        packet = self.sent or self.received
        if packet is None:
            raise ValueError("an arrow needs a packet on at least one side")
        return packet

    @property
    def message(self) -> Message:
        """The SIP message."""
        return self.packet.message

    @property
    def from_kamailio(self) -> bool:
        """True when Kamailio is the sender."""
        return self.start is Lane.KAMAILIO

    @property
    def lost(self) -> bool:
        """True when it was sent and never arrived."""
        return self.received is None

    @property
    def translation(self) -> tuple[Endpoint, Endpoint] | None:
        """What the NAT made of the phone's address: before and after; None when it changed nothing."""
        if self.sent is None or self.received is None:
            return None
        if self.from_kamailio:
            before, after = self.sent.destination, self.received.destination
        else:
            before, after = self.sent.source, self.received.source
        return None if before == after else (before, after)


@dataclass(frozen=True)
class Ladder:
    """All arrows of a call in order of time."""

    arrows: tuple[Arrow, ...]
    call_id: str = ""


@dataclass
class _Side:
    """One phone: its lane, and how its packets look at the server."""

    lane: Lane
    address: str
    packets: Sequence[Packet]
    outside: set[Endpoint] = field(default_factory=set)

    def arrow(self, outbound: bool, phone: Packet | None, server: Packet | None) -> Arrow:
        if outbound:
            return Arrow(self.lane, Lane.KAMAILIO, sent=phone, received=server)
        return Arrow(Lane.KAMAILIO, self.lane, sent=server, received=phone)


def build(
    caller: Party,
    callee: Party,
    caller_packets: Iterable[Packet],
    server_packets: Iterable[Packet],
    callee_packets: Iterable[Packet],
) -> Ladder:
    """Merge the three captures of a call into one ladder: the registrations of both phones, and the call.

    Other calls and other phones in the captures are left out. Without an INVITE from the caller the ladder
    holds the registrations alone.
    """
    caller_packets, callee_packets = list(caller_packets), list(callee_packets)
    call_id = next(
        (
            packet.message.call_id
            for packet in caller_packets
            if packet.message.first_line.startswith(f"INVITE sip:{callee.name}@")
            and packet.source.address == caller.private_address
        ),
        "",
    )
    sides = (
        _Side(Lane.CALLER, caller.private_address, _of_call(caller_packets, call_id)),
        _Side(Lane.CALLEE, callee.private_address, _of_call(callee_packets, call_id)),
    )
    calls = {packet.message.call_id for side in sides for packet in side.packets}
    at_server = [packet for packet in server_packets if packet.message.call_id in calls]
    arrows = _merge(sides, at_server)
    arrows += [_unseen(sides, packet, caller, callee) for packet in at_server]
    arrows.sort(key=lambda arrow: arrow.packet.time)
    return Ladder(tuple(_with_history(arrows)), call_id=call_id)


def _of_call(packets: Iterable[Packet], call_id: str) -> list[Packet]:
    return [
        packet
        for packet in packets
        if packet.message.call_id == call_id or packet.message.method == "REGISTER"
    ]


def _merge(sides: Iterable[_Side], at_server: list[Packet]) -> list[Arrow]:
    """Pair what each phone's capture holds with the server's; what is paired is taken out of `at_server`."""
    arrows = []
    for side in sides:
        for phone in side.packets:
            outbound = phone.source.address == side.address
            server = next((other for other in at_server if _same(phone, other, outbound)), None)
            if server:
                at_server.remove(server)
                side.outside.add(server.source if outbound else server.destination)
            arrows.append(side.arrow(outbound, phone, server))
    return arrows


def _same(phone: Packet, server: Packet, outbound: bool) -> bool:
    """True when the phone's capture and the server's show one and the same packet."""
    transit = server.time - phone.time if outbound else phone.time - server.time
    peer = phone.destination if outbound else phone.source
    return (
        phone.message.key == server.message.key
        and -0.01 < transit < TRANSIT
        and peer == (server.destination if outbound else server.source)
    )


def _unseen(sides: Sequence[_Side], packet: Packet, caller: Party, callee: Party) -> Arrow:
    """A packet that only the server saw: stopped by the NAT, or missed by the phone's capture."""
    for side, party in zip(sides, (caller, callee), strict=True):
        outside = {endpoint.address for endpoint in side.outside} | {party.public_address}
        inbound, outbound = packet.destination, packet.source
        if inbound in side.outside or (inbound.address in outside and outbound not in side.outside):
            return side.arrow(False, None, packet)
        if outbound in side.outside or outbound.address in outside:
            return side.arrow(True, None, packet)
    outbound_message = packet.message.is_request and packet.message.method == "REGISTER"
    return sides[0].arrow(outbound_message, None, packet)


def _with_history(arrows: Iterable[Arrow]) -> Iterable[Arrow]:
    """Each arrow with what it repeats, passes on or answers."""
    seen: set[tuple[Lane, Lane, tuple[str, str, str, str]]] = set()
    arrived: list[Message] = []
    for arrow in arrows:
        identity = arrow.start, arrow.end, arrow.message.key
        cause = answers = None
        if arrow.from_kamailio:
            cause = next((known for known in reversed(arrived) if _passed_on(known, arrow.message)), None)
            if cause is None and not arrow.message.is_request:
                answers = next((known for known in arrived if _answered(known, arrow.message)), None)
        elif not arrow.lost:
            arrived.append(arrow.message)
        yield replace(arrow, repeated=identity in seen, cause=cause, answers=answers)
        seen.add(identity)


def _passed_on(received: Message, sent: Message) -> bool:
    """True when `sent` is `received` with Kamailio's own Via put on (request) or taken off (reply)."""
    shorter, longer = (received, sent) if sent.is_request else (sent, received)
    return (
        received.is_request == sent.is_request
        and received.title == sent.title
        and received.call_id == sent.call_id
        and len(longer.branches) > 1
        and shorter.branches[:1] == longer.branches[1:2]
    )


def _answered(request: Message, reply: Message) -> bool:
    return (
        request.is_request
        and request.call_id == reply.call_id
        and request.value("CSeq") == reply.value("CSeq")
        and request.branches[:1] == reply.branches[:1]
    )
