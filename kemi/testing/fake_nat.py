"""KSR.nathelper: signs of NAT, computed from the message as the module does."""

from __future__ import annotations

import ipaddress
import re

from kemi.testing.fake import NO, YES, Family, code
from kemi.testing.pseudovars import source_uri, write_avp
from kemi.testing.uri import Uri, address_uri

# RFC 1918, RFC 6598 and RFC 7335, as nathelper lists them.
PRIVATE_NETS = [
    ipaddress.ip_network(net)
    for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24")
]
PROTOCOLS = {"udp": 1, "tcp": 2, "tls": 3, "sctp": 4, "ws": 5, "wss": 6}
TRANSPORTS = {number: name for name, number in PROTOCOLS.items()}
RECEIVED_AVP = "RECEIVED"
_C_LINE = re.compile(r"^c=IN IP4 (\S+)", re.MULTILINE)


def is_private(host: str) -> bool:
    """Is it an IPv4 address of a private or shared network? A host name is not."""
    try:
        return any(ipaddress.ip_address(host) in net for net in PRIVATE_NETS)
    except ValueError:
        return False


class Nathelper(Family):
    """Tests for NAT, and the Contact alias that remembers where a phone really is."""

    def nat_uac_test(self, tests: int) -> int:
        return code(any(holds for bit, holds in self._signs().items() if tests & bit))

    def _signs(self) -> dict[int, bool]:
        message = self.now.message
        source_host, source_port = message.source
        via_host, via_port, _ = message.via
        contact = message.address("Contact")
        sdp = _C_LINE.findall(message.body) if message.header("Content-Type") else []
        return {
            1: contact is not None and is_private(contact.host),
            2: via_host != source_host,
            4: is_private(via_host),
            8: any(is_private(host) for host in sdp),
            16: source_port != (via_port or 5060),
            32: is_private(source_host),
            64: message.transport in ("ws", "wss"),
            128: contact is not None and source_port != (contact.port or 5060),
            256: any(host != source_host for host in sdp[:1]),
        }

    def is_rfc1918(self, address: str) -> int:
        return code(is_private(address))

    def set_contact_alias(self) -> int:
        contact = self.now.message.header("Contact")
        if contact is None or Uri.find(address_uri(contact)) is None or self.now.contact_rewritten:
            return NO
        host, port = self.now.message.source
        uri = address_uri(contact)
        alias = f"{uri};alias={host}~{port}~{PROTOCOLS[self.now.message.transport]}"
        changed = contact.replace(f"<{uri}>", f"<{alias}>") if "<" in contact else f"<{alias}>"
        return self._rewrite_contact(contact, changed)

    def add_contact_alias(self) -> int:
        if self.now.message.header("Contact") is None:
            return 2
        if self.now.contact_rewritten:
            raise ValueError(
                "KSR.nathelper.add_contact_alias: the server would write a second alias; call it once"
            )
        return self.set_contact_alias()

    def handle_ruri_alias(self) -> int:
        uri = self.now.uri
        alias = uri.param("alias") if uri else None
        if uri is None or alias is None:
            return 2
        parts = alias.split("~")
        if len(parts) != 3 or not parts[2].isdigit() or int(parts[2]) not in TRANSPORTS:
            # The server has written into the URI before it finds out.
            self.now.first.uri = self.now.first.uri.replace("~", ":", 1)
            return NO
        transport = TRANSPORTS[int(parts[2])]
        target = f"sip:{parts[0]}:{parts[1]}" + ("" if transport == "udp" else f";transport={transport}")
        self.now.first.destination = target
        self.now.first.uri = self.now.first.uri.replace(f";alias={alias}", "")
        return YES

    def fix_nated_register(self) -> int:
        write_avp(self.ksr, RECEIVED_AVP, source_uri(self.ksr))
        return YES

    def fix_nated_contact(self) -> int:
        contact = self.now.message.header("Contact")
        old = Uri.find(address_uri(contact)) if contact else None
        if contact is None or old is None or self.now.contact_rewritten:
            return NO
        host, port = self.now.message.source
        changed = contact.replace(str(old), str(Uri(old.scheme, old.user, host, port, old.params)))
        return self._rewrite_contact(contact, changed)

    def _rewrite_contact(self, old: str, new: str) -> int:
        outgoing = self.now.outgoing
        outgoing.headers = [(name, new if value == old else value) for name, value in outgoing.headers]
        self.now.contact_rewritten = True
        return YES
