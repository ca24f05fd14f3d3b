"""KSR.registrar on a location table: user of the address of record to contacts (use_domain off)."""

from __future__ import annotations

from kemi.testing.fake import NO, YES, Family, code
from kemi.testing.fake_nat import RECEIVED_AVP
from kemi.testing.fake_replies import send
from kemi.testing.state import Branch, Contact
from kemi.testing.uri import Uri, address_param, address_uri, addresses

INSERTED, UPDATED, DELETED, FETCHED = 1, 2, 3, 4
DEFAULT_EXPIRES = 3600
METHOD_NOT_ALLOWED = -2
SILENTLY = 2  # a flag of save()


class Registrar(Family):
    """REGISTER, and finding who registered (RFC 3261, section 10)."""

    def save(self, table: str, flags: int) -> int:
        if table != "location":
            return NO
        message = self.now.message
        user = message.address("To")
        if user is None:
            return NO
        values = [address for value in message.header_values("Contact") for address in addresses(value)]
        if any(value != "*" and Uri.find(address_uri(value)) is None for value in values):
            self.now.error = (400, "Bad Request")
            return NO
        result = self._store(user.user, values)
        if not flags & SILENTLY:
            self.reg_send_reply()
        return result

    def reg_send_reply(self) -> int:
        user = self.now.message.address("To")
        rows = self.ksr.location.get(user.user, []) if user else []
        self.now.reply_headers.extend(_contact_header(row) for row in rows)
        send(self, 200, "OK", stateful=self.now.transaction is not None)
        return YES

    def _store(self, user: str, values: list[str]) -> int:
        if not values:
            return FETCHED
        rows = self.ksr.location.setdefault(user, [])
        if values == ["*"]:
            rows.clear()
            return DELETED
        result = UPDATED
        for value in values:
            uri = address_uri(value)
            default = self.now.message.header("Expires") or str(DEFAULT_EXPIRES)
            expires = int(address_param(value, "expires") or default)
            places = [place for place, row in enumerate(rows) if row.uri == uri]
            if expires == 0:
                rows[:] = [row for row in rows if row.uri != uri]
                result = DELETED
                continue
            received = next(reversed(self.now.avps.get(RECEIVED_AVP, [])), None)
            where = str(received) if received is not None else None
            contact = Contact(uri, where, frozenset(self.now.first.flags), expires)
            if places:
                rows[places[0]] = contact
            else:
                rows.append(contact)
                result = INSERTED
        return result

    def _rows(self) -> list[Contact]:
        return self.ksr.location.get(self.now.uri.user, []) if self.now.uri else []

    def lookup(self, table: str) -> int:
        rows = self._rows() if table == "location" else []
        if not rows:
            return NO
        # The oldest contact becomes the request-URI (usrloc's desc_time_order is 0), the others become branches.
        oldest, *others = rows
        self.now.first = Branch(oldest.uri, oldest.received, {*self.now.first.flags, *oldest.flags})
        self.now.branches = [Branch(row.uri, row.received, set(row.flags)) for row in others]
        return YES

    def registered(self, table: str) -> int:
        return code(table == "location" and bool(self._rows()))


def _contact_header(row: Contact) -> str:
    received = f';received="{row.received}"' if row.received else ""
    return f"Contact: <{row.uri}>;expires={row.expires}{received}"
