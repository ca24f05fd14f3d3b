"""KSR.mqueue: queues in shared memory, from one process to another."""

from __future__ import annotations

from kemi.testing.fake import NO, YES, Family

NOTHING = -2


class Mqueue(Family):
    """`ksr.queues` holds key and value of what waits, `ksr.taken` what was fetched last of each queue."""

    def mq_add(self, queue: str, key: str, value: str) -> int:
        if queue not in self.ksr.queues:
            return NO
        self.ksr.queues[queue].append((key, value))  # at its limit, a deque pushes out the oldest
        return YES

    def mq_fetch(self, queue: str) -> int:
        if queue not in self.ksr.queues:
            return NO
        self.ksr.taken.pop(queue, None)
        if not self.ksr.queues[queue]:
            return NOTHING
        self.ksr.taken[queue] = self.ksr.queues[queue].popleft()
        return YES

    def mq_pv_free(self, queue: str) -> int:
        self.ksr.taken.pop(queue, None)
        return YES

    def mq_size(self, queue: str) -> int:
        return len(self.ksr.queues[queue]) if queue in self.ksr.queues else NO

    def _taken(self, queue: str, part: int) -> str | None:
        return self.ksr.taken[queue][part] if queue in self.ksr.taken else None

    def mqk_get(self, queue: str) -> str | None:
        return self._taken(queue, 0)

    def mqv_get(self, queue: str) -> str | None:
        return self._taken(queue, 1)

    # Other than their sisters in module pv, these two give None for nothing as well.
    mqk_gete = mqk_getw = mqk_get
    mqv_gete = mqv_getw = mqv_get
