"""KSR.tm and KSR.tmx: transactions, and requests on their way out."""

from __future__ import annotations

import copy
import re

from kemi.testing.differences import code_in
from kemi.testing.fake import NO, YES, Family, code
from kemi.testing.fake_replies import send
from kemi.testing.state import Branch, Relay, Transaction

ALREADY_CREATED = -10
NO_BRANCH = -7
ROUTES = ("branch_route", "onreply_route", "failure_route", "branch_failure_route")


class Tm(Family):
    """Transactions stay in `ksr.transactions`, so a message that is received again is a retransmission."""

    def _find(self) -> Transaction | None:
        """The transaction that this request belongs to (RFC 3261, section 17.2.3)."""
        wanted = Transaction.of(self.now.message)
        for known in self.ksr.transactions:
            if known.branch == wanted.branch and known.method == (
                "INVITE" if wanted.method == "ACK" else wanted.method
            ):
                return known
        return None

    def _invite(self) -> Transaction | None:
        """The INVITE that a CANCEL is for (same branch) or that an ACK of a 200 belongs to (same CSeq)."""
        wanted = Transaction.of(self.now.message)
        for known in self.ksr.transactions:
            same = known.branch == wanted.branch
            if wanted.method == "ACK":
                same = (known.call_id, known.cseq) == (wanted.call_id, wanted.cseq)
            if known.method == "INVITE" and same:
                return known
        return None

    def t_check_trans(self) -> int:
        if self.ksr.route in ("branch", "failure"):
            return YES
        if self.now.message.is_reply:
            return NO
        if self.now.message.method == "CANCEL":
            return code(self._invite() is not None)
        if self._find() is not None:
            return 0
        return code(self.now.message.method == "ACK" and self._invite() is not None)

    def t_lookup_cancel(self) -> int:
        return code(self.now.message.method == "CANCEL" and self._invite() is not None)

    def t_lookup_request(self) -> int:
        return code(self._find() is not None)

    def t_newtran(self) -> int:
        if self.now.transaction or self._find():
            return ALREADY_CREATED
        if self.now.message.method != "ACK":
            self.now.transaction = Transaction.of(self.now.message)
            self.ksr.transactions.append(self.now.transaction)
        return YES

    # -- callbacks -------------------------------------------------------------------------------------------------

    def t_on_branch(self, callback: str) -> int:
        return self._arm("branch_route", callback)

    def t_on_reply(self, callback: str) -> int:
        return self._arm("onreply_route", callback)

    def t_on_failure(self, callback: str) -> int:
        return self._arm("failure_route", callback)

    def t_on_branch_failure(self, callback: str) -> int:
        return self._arm("branch_failure_route", callback)

    def _arm(self, route: str, callback: str) -> int:
        if callback and self.ksr.handler is not None and not hasattr(self.ksr.handler, callback):
            raise AttributeError(f"{route} {callback!r}: the handler has no such callback")
        self.now.callbacks[route] = callback
        return YES

    def t_is_set(self, route: str) -> int:
        if route not in ROUTES:
            raise ValueError(f"KSR.tm.t_is_set: expected one of {', '.join(ROUTES)}, found {route!r}")
        return code(bool(self.now.callbacks.get(route)))

    # -- out -------------------------------------------------------------------------------------------------------

    def t_reply(self, status: int, reason: str) -> int:
        if self.now.transaction is None:
            return NO
        return send(self, status, reason, stateful=True)

    def t_send_reply(self, status: int, reason: str) -> int:
        return send(self, status, reason, stateful=self.now.transaction is not None)

    def t_relay(self) -> int:
        if self.now.message.is_reply:
            raise ValueError("KSR.tm.t_relay: a reply cannot be relayed, Kamailio forwards it by itself")
        if self.now.transaction and self.now.transaction.relayed:
            return NO
        if self.now.message.method == "CANCEL" and self._invite() is not None:
            return self._cancel()
        self.t_newtran()
        sent = sum(self._send(branch) for branch in [self.now.first, *self.now.branches])
        if self.now.transaction and sent:
            self.now.transaction.relayed, self.now.transaction.failure = True, 0
            self.ksr.pending.append(self.now)
        return YES if sent else NO_BRANCH

    def _cancel(self) -> int:
        """A CANCEL is answered here, and one of our own follows each branch of its INVITE (RFC 3261, section 16.10)."""
        now = self.now
        self.t_newtran()
        send(self, 200, "canceling", stateful=True)
        for sent in list(self.ksr.relayed):
            message = sent.message
            same = message.header("Call-ID") == now.message.header("Call-ID")
            if message.method == "INVITE" and same:
                cancel = copy.deepcopy(now.outgoing)
                cancel.uri = message.uri
                self.ksr.relayed.append(
                    Relay(cancel, sent.destination, sent.flags, sent.branch_flags, on_reply="", on_failure="")
                )
        return YES

    def _send(self, branch: Branch) -> bool:
        """Run the branch callback and record the branch; False if the callback dropped it."""
        now, first, before = self.now, self.now.first, copy.deepcopy(self.now.outgoing)
        rewritten, params = now.contact_rewritten, now.record_route_params
        now.first, now.dropped = branch, False
        # While it runs, no branch callback is set.
        name = now.callbacks.pop("branch_route", "")
        callback = getattr(self.ksr.handler, name, None)
        if callback is not None:
            self.ksr.route = "branch"
            callback(None)
            self.ksr.route = "request"
        if name:
            now.callbacks["branch_route"] = name
        dropped = now.dropped
        if not dropped:
            self.ksr.relayed.append(self._relay(branch))
        # What a branch callback changes is changed for that branch only.
        now.first, now.outgoing, now.dropped = first, before, False
        now.contact_rewritten, now.record_route_params = rewritten, params
        return not dropped

    def _relay(self, branch: Branch) -> Relay:
        now = self.now
        message = copy.deepcopy(now.outgoing)
        message.uri = branch.uri
        if now.record_routed:
            host, port = now.message.destination
            where = host if port == 5060 else f"{host}:{port}"
            ftag = f";ftag={now.message.tag('From') or ''}" if self.ksr.append_fromtag else ""
            route = f"<sip:{where};lr{ftag}{now.record_route_params}>"
            message.headers.insert(0, ("Record-Route", route))
        return Relay(
            message,
            branch.destination or branch.uri,
            frozenset(now.flags),
            frozenset(branch.flags),
            now.callbacks.get("onreply_route", ""),
            now.callbacks.get("failure_route", ""),
        )

    # -- state -----------------------------------------------------------------------------------------------------

    def t_is_canceled(self) -> int:
        return code(self.ksr.cancelled)

    def t_branch_timeout(self) -> int:
        return code(self.ksr.route == "failure" and self.ksr.timed_out)

    def t_branch_replied(self) -> int:
        return code(self.ksr.route == "failure" and self.ksr.rang)

    def t_check_status(self, expression: str) -> int:
        status = self._status()
        return code(status > 0 and re.search(expression, str(status)) is not None)

    def _status(self) -> int:
        """Of this reply, of the branches that failed, or of what was answered; 0 before any."""
        if self.now.message.is_reply:
            return self.now.message.status
        known = self.now.transaction
        if known is None:
            return 0
        return known.failure if self.ksr.route == "failure" else known.status

    def t_get_status_code(self) -> int:
        return self._status() or NO

    def t_set_disable_internal_reply(self, _state: int) -> int:
        return YES

    def t_set_fr(self, _invite: int, _other: int) -> int:
        return YES

    def t_set_fr_inv(self, _invite: int) -> int:
        return YES


class Tmx(Family):
    """More about transactions."""

    def t_precheck_trans(self) -> int:
        message = self.now.message
        if message.is_reply or message.method in ("ACK", "CANCEL"):
            return code_in(self.ksr.version, "tmx.t_precheck_trans: ACK, CANCEL or a reply")
        return NO

    def t_is_request_route(self) -> int:
        return code(self.ksr.route == "request")

    def t_is_branch_route(self) -> int:
        return code(self.ksr.route == "branch")

    def t_is_reply_route(self) -> int:
        return code(self.ksr.route == "onreply")

    def t_is_failure_route(self) -> int:
        return code(self.ksr.route == "failure")
