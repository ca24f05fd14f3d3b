"""KSR.rtpproxy and KSR.rtpengine: what the relay is asked to do. The relay itself is outside: a test may let it fail.

`ksr.media` lists every request as (command, flags), the command "offer", "answer" or "delete"; `ksr.media_sessions`
holds the Call-IDs that the relay knows, since it refuses an answer without an offer before.
"""

from __future__ import annotations

from kemi.testing.fake import NO, YES, Family

MANAGED = ("INVITE", "ACK", "CANCEL", "BYE", "UPDATE", "PRACK")


class MediaRelay(Family):
    """A relay that always answers, unless a test says otherwise: ksr.answer("rtpproxy.rtpproxy_manage", -3)."""

    #: Requests whose SDP is an answer to its module's "manage" function.
    answering: tuple[str, ...] = ("ACK",)

    def _manage(self, flags: str) -> int:
        command = self._command()
        return self._ask(command, flags) if command else NO

    def _ask(self, command: str, flags: str) -> int:
        self.ksr.media.append((command, flags))
        call = self.now.message.header("Call-ID") or ""
        if command == "offer":
            self.ksr.media_sessions.add(call)
        if command == "delete":
            self.ksr.media_sessions.discard(call)
        return NO if command == "answer" and call not in self.ksr.media_sessions else YES

    def _command(self) -> str:
        """What "manage" does with this message; "" for nothing."""
        message = self.now.message
        method = message.method
        if method not in MANAGED:
            return ""
        if method in ("BYE", "CANCEL") or message.status >= 300:
            return "delete"
        if not message.body or not (message.header("Content-Type") or "").lower().startswith(
            "application/sdp"
        ):
            return ""
        if method in (("PRACK", "UPDATE") if message.is_reply else self.answering):
            return "answer"
        if message.is_reply:
            # The first SDP of a call whose INVITE had none is the offer; without the transaction nobody can tell.
            return "offer" if self.now.transaction and not self.now.offer_managed else "answer"
        if method == "INVITE":
            self.now.offer_managed = True
            if self.ksr.route == "failure":
                return "delete"
        return "offer"


class Rtpproxy(MediaRelay):
    """RTPProxy."""

    def rtpproxy_manage(self, flags: str) -> int:
        return self._manage(flags)

    def rtpproxy_manage0(self) -> int:
        return self.rtpproxy_manage("")

    def rtpproxy_offer(self, flags: str) -> int:
        return self._ask("offer", flags)

    def rtpproxy_answer(self, flags: str) -> int:
        return self._ask("answer", flags)

    def rtpproxy_destroy(self, flags: str) -> int:
        return self._ask("delete", flags)

    def rtpproxy_destroy0(self) -> int:
        return self._ask("delete", "")

    def set_rtpproxy_set(self, _set: int) -> int:
        return YES


class Rtpengine(MediaRelay):
    """Sipwise rtpengine, whose module takes the SDP of a PRACK for an answer."""

    answering = ("ACK", "PRACK")

    def rtpengine_manage(self, flags: str) -> int:
        return self._manage(flags)

    def rtpengine_manage0(self) -> int:
        return self._manage("")

    def rtpengine_offer(self, flags: str) -> int:
        return self._ask("offer", flags)

    def rtpengine_answer(self, flags: str) -> int:
        return self._ask("answer", flags)

    def rtpengine_delete(self, flags: str) -> int:
        return self._ask("delete", flags)

    def rtpengine_delete0(self) -> int:
        return self._ask("delete", "")
