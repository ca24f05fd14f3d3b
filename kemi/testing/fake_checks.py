"""KSR.siputils, corex, maxfwd, sanity and pike: questions about the message at hand."""

from __future__ import annotations

import copy
import ipaddress

from kemi.testing.fake import NO, YES, Family, code
from kemi.testing.uri import Uri, address_uri, addresses

HOP_LIMIT = 256


class Siputils(Family):
    """What kind of message it is."""

    def has_totag(self) -> int:
        return code(bool(self.now.message.tag("To")))

    def is_request(self) -> int:
        return code(not self.now.message.is_reply)

    def is_reply(self) -> int:
        return code(self.now.message.is_reply)

    def is_first_hop(self) -> int:
        if not self.now.message.is_reply:
            return code(sum(len(addresses(via)) for via in self.now.message.header_values("Via")) == 1)
        recorded = self.now.message.header("Record-Route")
        if recorded is None:
            return YES
        top = Uri.find(address_uri(addresses(recorded)[0]))
        if top is None:
            return NO
        try:
            ipaddress.ip_address(top.host.strip("[]"))
        except ValueError:
            return NO
        looped = self.now.message.source == (top.host, top.port or 5060)
        return code(self.ksr.is_own(top.host, top.port) and not looped)


class Corex(Family):
    """What is there, and where the message seems to come from."""

    def has_ruri_user(self) -> int:
        return code(self.now.uri is not None and bool(self.now.uri.user))

    def has_user_agent(self) -> int:
        return code(bool(self.now.message.header("User-Agent")))

    def set_source_address(self, socket: str) -> int:
        transport, host, port = socket.split(":")
        for message in (self.now.message, self.now.outgoing):
            message.transport, message.source = transport, (host, int(port))
        return YES


class Maxfwd(Family):
    """Max-Forwards (RFC 3261, section 16.3)."""

    def process_maxfwd(self, limit: int) -> int:
        if not 0 <= limit < HOP_LIMIT:
            return NO
        value = self.now.message.header("Max-Forwards")
        outgoing = self.now.outgoing
        if value is None:
            outgoing.headers.insert(0, ("Max-Forwards", str(limit)))
            return 2
        if not value.isdigit():
            return -2
        if int(value) == 0:
            return NO
        hops = str(min(int(value), HOP_LIMIT) - 1)
        # The server overwrites the digits in its buffer: this one change is seen at once.
        for message in (self.now.message, outgoing):
            copied = copy.copy(message.headers)
            message.headers = [(name, hops if name == "Max-Forwards" else old) for name, old in copied]
        return YES

    def is_maxfwd_lt(self, limit: int) -> int:
        value = self.now.message.header("Max-Forwards")
        if value is None:
            return -2
        return code(int(value) < limit) if value.isdigit() else -3


class Sanity(Family):
    """Malformed messages. A test that needs one refused says so: ksr.answer("sanity.sanity_check", 0)."""

    def sanity_check(self, _checks: int, _uri_checks: int) -> int:
        return YES


class Pike(Family):
    """Floods. A test that needs one says so: ksr.answer("pike.pike_check_req", -2)."""

    def pike_check_req(self) -> int:
        return YES
