"""KSR.htable: shared tables with expiry. Time does not pass here: a test removes what shall have expired."""

from __future__ import annotations

from kemi.testing.differences import code_in
from kemi.testing.fake import YES, Family, code

# What Kamailio gives for counting a key that is not there.
NO_NUMBER = -255
# sht_reset's own word for success.
DONE = 0


class Htable(Family):
    """`ksr.htables` holds the values, `ksr.htable_expires` the seconds that were asked for."""

    def _table(self, name: str) -> dict[str, str | int]:
        if name not in self.ksr.htables:
            known = ", ".join(self.ksr.htables)
            raise ValueError(f"htable {name!r} is not defined; defined: {known} (FakeKSR(htables=...))")
        return self.ksr.htables[name]

    def sht_get(self, table: str, key: str) -> str | int | None:
        return self._table(table).get(key)

    def sht_gete(self, table: str, key: str) -> str | int:
        return self._table(table).get(key, "")

    def sht_is_null(self, table: str, key: str) -> int:
        return code(key not in self._table(table))

    def sht_sets(self, table: str, key: str, value: str) -> int:
        self._table(table)[key] = value
        return YES

    def sht_seti(self, table: str, key: str, value: int) -> int:
        self._table(table)[key] = value
        return YES

    def sht_setex(self, table: str, key: str, seconds: int) -> int:
        self._table(table)
        self.ksr.htable_expires[table, key] = seconds
        return YES

    def sht_setxs(self, table: str, key: str, value: str, seconds: int) -> int:
        self.ksr.htable_expires[table, key] = seconds
        return self.sht_sets(table, key, value)

    def sht_setxi(self, table: str, key: str, value: int, seconds: int) -> int:
        self.ksr.htable_expires[table, key] = seconds
        self.sht_seti(table, key, value)
        return code_in(self.ksr.version, "htable.sht_setxi: done")

    def sht_rm(self, table: str, key: str) -> int:
        self._table(table).pop(key, None)
        self.ksr.htable_expires.pop((table, key), None)
        return YES

    def sht_inc(self, table: str, key: str) -> int:
        return self._count(table, key, 1)

    def sht_dec(self, table: str, key: str) -> int:
        return self._count(table, key, -1)

    def sht_lock(self, table: str, _key: str) -> int:
        self._table(table)
        return YES

    def sht_unlock(self, table: str, _key: str) -> int:
        self._table(table)
        return YES

    def sht_reset(self, table: str) -> int:
        self._table(table).clear()
        return DONE

    def _count(self, table: str, key: str, step: int) -> int:
        value = self._table(table).get(key)
        if not isinstance(value, int):
            return NO_NUMBER
        self._table(table)[key] = value + step
        return value + step
