"""KSR.pv, KSR.pvx and KSR.kx: reading and writing the message at hand, AVPs and defines."""

from __future__ import annotations

from collections.abc import Callable

from kemi.testing.fake import Family
from kemi.testing.pseudovars import Value, read, source_uri, write, write_avp
from kemi.testing.uri import address_uri

NULL = "<null>"


class Pv(Family):
    """Pseudo-variables by name."""

    def get(self, name: str) -> Value:
        return read(self.ksr, name)

    def gete(self, name: str) -> Value:
        value = read(self.ksr, name)
        return "" if value is None else value

    def getw(self, name: str) -> Value:
        value = read(self.ksr, name)
        return NULL if value is None else value

    def getvs(self, name: str, default: str) -> Value:
        value = read(self.ksr, name)
        return default if value is None else value

    def getvn(self, name: str, default: int) -> Value:
        value = read(self.ksr, name)
        return default if value is None else value

    def geti(self, name: str) -> int:
        value = read(self.ksr, name)
        return value if isinstance(value, int) else 0

    def is_null(self, name: str) -> bool:
        return read(self.ksr, name) is None

    def sets(self, name: str, value: str) -> bool:
        write(self.ksr, name, value)
        return True

    def seti(self, name: str, value: int) -> bool:
        write(self.ksr, name, value)
        return True

    def unset(self, name: str) -> bool:
        write(self.ksr, name, None)
        return True


class Pvx(Family):
    """AVPs and script variables without the cache of pseudo-variable names."""

    def avp_get(self, name: str) -> Value:
        return next(reversed(self.now.avps.get(name, [])), None)

    def avp_gete(self, name: str) -> Value:
        value = self.avp_get(name)
        return "" if value is None else value

    def avp_getw(self, name: str) -> Value:
        value = self.avp_get(name)
        return NULL if value is None else value

    def avp_is_null(self, name: str) -> int:
        raise ValueError(
            f"KSR.pvx.avp_is_null({name!r}): Kamailio deletes the AVP and always says yes; "
            "compare KSR.pvx.avp_get() with None"
        )

    def avp_sets(self, name: str, value: str) -> int:
        write_avp(self.ksr, name, value)
        return 1

    def avp_seti(self, name: str, value: int) -> int:
        write_avp(self.ksr, name, value)
        return 1

    def avp_rm(self, name: str) -> int:
        write_avp(self.ksr, name, None)
        return 1

    def var_get(self, name: str) -> Value:
        return self.ksr.variables.get(name, 0)

    def var_sets(self, name: str, value: str) -> int:
        self.ksr.variables[name] = value
        return 1

    def var_seti(self, name: str, value: int) -> int:
        self.ksr.variables[name] = value
        return 1


class Kx(Family):
    """The usual pseudo-variables as functions: get_x gives None, gete_x "" and getw_x "<null>" for nothing."""

    def __getattr__(self, name: str) -> Callable[[], Value]:
        how, _, what = name.partition("_")
        if what not in VARIABLES or how not in ("get", "gete", "getw"):
            raise AttributeError(name)
        nothing = {"get": None, "gete": "", "getw": NULL}[how]

        def give() -> Value:
            value = read(self.ksr, VARIABLES[what])
            return nothing if value in (None, "") else value

        return give

    def _contact_uri(self, nothing: Value) -> Value:
        contact = self.now.message.header("Contact")
        return address_uri(contact) if contact else nothing

    def get_cturi(self) -> Value:
        return self._contact_uri(None)

    def gete_cturi(self) -> Value:
        return self._contact_uri("")

    def getw_cturi(self) -> Value:
        return self._contact_uri(NULL)

    def ifdef(self, name: str) -> bool:
        return name in self.ksr.defines

    def ifndef(self, name: str) -> bool:
        return name not in self.ksr.defines

    def get_def(self, name: str) -> str:
        return self.ksr.defines.get(name, "")

    def get_bodylen(self) -> int:
        return len(self.now.message.body.encode("utf-8", "surrogateescape"))

    def get_msglen(self) -> int:
        return len(bytes(self.now.message))

    def get_msgtype(self) -> int:
        return 2 if self.now.message.is_reply else 1

    def get_status(self) -> int:
        return self.now.message.status or -1

    def gets_status(self) -> Value:
        return str(self.now.message.status) if self.now.message.is_reply else None

    def get_nhuri(self) -> Value:
        return self.now.first.destination or self.now.first.uri or None

    def get_srcuri(self) -> str:
        return source_uri(self.ksr)

    def get_srcaddr_sock(self) -> str:
        return self._socket(self.now.message.source)

    def get_rcvaddr_sock(self) -> str:
        return self._socket(self.now.message.destination)

    def _socket(self, address: tuple[str, int]) -> str:
        return f"{self.now.message.transport}:{address[0]}:{address[1]}"


VARIABLES = {
    "au": "$au",
    "body": "$rb",
    "callid": "$ci",
    "duri": "$du",
    "fhost": "$fd",
    "furi": "$fu",
    "fuser": "$fU",
    "method": "$rm",
    "msgbuf": "$mb",
    "ouri": "$ou",
    "proto": "$proto",
    "rcvip": "$Ri",
    "rcvport": "$Rp",
    "rhost": "$rd",
    "ruri": "$ru",
    "ruser": "$rU",
    "srcip": "$si",
    "srcport": "$sp",
    "thost": "$td",
    "turi": "$tu",
    "tuser": "$tU",
    "ua": "$ua",
}
