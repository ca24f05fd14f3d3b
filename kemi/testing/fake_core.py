"""KSR's own functions: methods, flags, destination, logging."""

from __future__ import annotations

import re

from kemi.testing.fake import Family
from kemi.testing.state import LogLine
from kemi.testing.uri import Uri

# Letters of is_method_in, as core/kemi.c reads them.
LETTERS = {
    "I": "INVITE",
    "A": "ACK",
    "B": "BYE",
    "C": "CANCEL",
    "R": "REGISTER",
    "M": "MESSAGE",
    "O": "OPTIONS",
    "S": "SUBSCRIBE",
    "P": "PUBLISH",
    "N": "NOTIFY",
    "U": "UPDATE",
    "E": "PRACK",
    "F": "REFER",
    "K": "KDMQ",
    "G": "GET",
    "T": "POST",
    "V": "PUT",
    "D": "DELETE",
}
METHODS = {*LETTERS.values(), "INFO"}
FLAG_COUNT = 32


class Core(Family):
    """Functions without a family: ``KSR.is_INVITE()``."""

    def __getattr__(self, name: str) -> object:
        # is_INVITE() to is_WSS() and to_UDP() to to_WSS() differ in one word only.
        if name.startswith("is_") and name[3:] in METHODS:
            return lambda: self.now.message.method == name[3:]
        if name.startswith("is_") and name[3:] in ("UDP", "TCP", "TLS", "SCTP", "WS", "WSS"):
            return lambda: self.now.message.transport == name[3:].lower()
        if name in ("dbg", "info", "notice", "warn", "err", "crit"):
            return lambda text: self._log(name, text)
        raise AttributeError(name)

    def _log(self, level: str, text: str) -> int:
        self.ksr.log.append(LogLine(level, text))
        return 0

    def log(self, level: str, text: str) -> int:
        return self._log(level, text)

    def is_method(self, methods: str) -> bool:
        wanted = [method.strip().upper() for method in methods.split("|")]
        for method in wanted:
            if method not in METHODS:
                raise ValueError(f"KSR.is_method: unknown method {method!r} in {methods!r}")
        return self.now.message.method.upper() in wanted

    def is_method_in(self, letters: str) -> bool:
        for letter in letters.upper():
            if letter not in LETTERS:
                raise ValueError(f"KSR.is_method_in: unknown letter {letter!r}; known: {''.join(LETTERS)}")
        return self.now.message.method in {LETTERS[letter] for letter in letters.upper()}

    def is_WSX(self) -> bool:  # noqa: N802
        return self.now.message.transport in ("ws", "wss")

    def is_IPv4(self) -> bool:  # noqa: N802
        return ":" not in self.now.message.source[0]

    def is_IPv6(self) -> bool:  # noqa: N802
        return ":" in self.now.message.source[0]

    def is_proto(self, protocols: str) -> bool:
        return self.now.message.transport in re.split(r"[|,]", protocols.lower())

    def is_src_port(self, port: int) -> bool:
        return self.now.message.source[1] == port

    def is_dst_port(self, port: int) -> bool:
        return self.now.message.destination[1] == port

    # -- is it ours? -----------------------------------------------------------------------------------------------

    def _own(self, uri: Uri | None) -> bool:
        return uri is not None and self.ksr.is_own(uri.host, uri.port)

    def is_myself(self, uri: str) -> bool:
        return self._own(Uri.find(uri) or Uri.find(f"sip:{uri}"))

    def is_myself_ruri(self) -> bool:
        return self._own(self.now.uri)

    def is_myself_furi(self) -> bool:
        return self._own(self.now.message.address("From"))

    def is_myself_turi(self) -> bool:
        return self._own(self.now.message.address("To"))

    def is_myself_duri(self) -> bool:
        destination = self.now.first.destination
        return destination is not None and self._own(Uri.find(destination))

    def is_myself_nhuri(self) -> bool:
        return self.is_myself_duri() if self.now.first.destination else self.is_myself_ruri()

    def is_myself_srcip(self) -> bool:
        return self.ksr.is_own(*self.now.message.source)

    def is_myself_suri(self) -> bool:
        return self.is_myself_srcip()

    # -- flags -----------------------------------------------------------------------------------------------------

    def _set(self, flags: set[int], flag: int) -> bool:
        self._check(flag)
        flags.add(flag)
        return True

    def _reset(self, flags: set[int], flag: int) -> bool:
        self._check(flag)
        flags.discard(flag)
        return True

    def _check(self, flag: int) -> None:
        if not 0 <= flag < FLAG_COUNT:
            raise ValueError(f"flag {flag}: expected 0 to {FLAG_COUNT - 1}")

    def setflag(self, flag: int) -> bool:
        return self._set(self.now.flags, flag)

    def resetflag(self, flag: int) -> bool:
        return self._reset(self.now.flags, flag)

    def isflagset(self, flag: int) -> bool:
        self._check(flag)
        return flag in self.now.flags

    def setbflag(self, flag: int) -> bool:
        return self._set(self.now.first.flags, flag)

    def resetbflag(self, flag: int) -> bool:
        return self._reset(self.now.first.flags, flag)

    def isbflagset(self, flag: int) -> bool:
        self._check(flag)
        return flag in self.now.first.flags

    def setsflag(self, flag: int) -> bool:
        return self._set(self.now.script_flags, flag)

    def resetsflag(self, flag: int) -> bool:
        return self._reset(self.now.script_flags, flag)

    def issflagset(self, flag: int) -> bool:
        self._check(flag)
        return flag in self.now.script_flags

    # -- destination -----------------------------------------------------------------------------------------------

    def isdsturiset(self) -> bool:
        return bool(self.now.first.destination)

    def setdsturi(self, uri: str) -> bool:
        Uri.parse(uri)
        self.now.first.destination = uri
        return True

    def resetdsturi(self) -> bool:
        self.now.first.destination = None
        return True

    def seturi(self, uri: str) -> bool:
        Uri.parse(uri)
        self.now.first.uri = uri
        return True

    def setuser(self, user: str) -> bool:
        self.now.first.uri = str(Uri.parse(self.now.first.uri).with_user(user))
        return True

    def sethost(self, host: str) -> bool:
        self.now.first.uri = str(Uri.parse(self.now.first.uri).with_host(host))
        return True

    def set_drop(self) -> int:
        self.now.dropped = True
        return 0

    def force_rport(self) -> bool:
        return True

    def add_local_rport(self) -> bool:
        return True

    def set_reply_no_connect(self) -> bool:
        return True

    def set_reply_close(self) -> bool:
        return True

    def set_forward_no_connect(self) -> bool:
        return True

    def set_forward_close(self) -> bool:
        return True
