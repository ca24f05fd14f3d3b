"""KSR.rtpproxy: what the relay is asked to do. The relay itself is outside: a test may let it fail.

`ksr.media` lists every request as (command, flags), the command "offer", "answer" or "delete".
"""

from __future__ import annotations

from kemi.testing.fake import NO, YES, Family


class Rtpproxy(Family):
    """A relay that always answers, unless ksr.answer("rtpproxy.rtpproxy_manage", -3) says otherwise."""

    def rtpproxy_manage(self, flags: str) -> int:
        command = self._command()
        return self._ask(command, flags) if command else NO

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

    def _ask(self, command: str, flags: str) -> int:
        self.ksr.media.append((command, flags))
        return YES

    def _command(self) -> str:
        """What rtpproxy_manage does with this message; "" for nothing."""
        message = self.now.message
        with_sdp = (message.header("Content-Type") or "").lower().startswith("application/sdp")
        if message.is_reply:
            if message.status >= 300:
                return "delete"
            return "answer" if with_sdp else ""
        if message.method in ("BYE", "CANCEL") or self.ksr.route == "failure":
            return "delete"
        if with_sdp and message.method in ("INVITE", "UPDATE", "PRACK"):
            return "offer"
        return "answer" if with_sdp and message.method == "ACK" else ""
