"""How long an answer takes at a steady load, given as a share of what the worker can do."""

from __future__ import annotations

import socket
import time

from bench.server import cores, running_on
from bench.workload import Requests

LOAD = 0.7
PERCENTILES = (50, 90, 99, 99.9)
_NANOSECONDS = 1_000_000_000
# On their way at most: what the server's socket holds while the server has not had its core.
_BACKLOG = 150


def microseconds(workload: Requests, rate: float, seconds: float) -> list[float]:
    """The PERCENTILES of the time from when a request was due to when its answer had come.

    Requests are due at even intervals, `rate` of them per second, whether answers have come or not: who is late is
    late for those behind as well. One worker answers in the order of the requests. Raises TimeoutError when answers
    are missing after the workload's patience.
    """
    count = max(100, min(6000, int(rate * seconds)))
    workload.prepare(count)
    interval = _NANOSECONDS / rate
    with running_on(cores()[0]):
        took = _play(workload, interval)
    took.sort()
    return [took[min(count - 1, int(count * percent / 100))] / 1000 for percent in PERCENTILES]


def _play(workload: Requests, interval: float) -> list[float]:
    opened, datagrams = workload.phone, workload.datagrams
    now = time.perf_counter_ns
    took: list[float] = []
    sent = 0
    begin = now()
    last = begin + interval * len(datagrams) + workload.patience * _NANOSECONDS
    while len(took) < len(datagrams):
        most = min(len(datagrams), len(took) + _BACKLOG)
        while sent < most and now() >= begin + sent * interval:
            opened.send(datagrams[sent])
            sent += 1
        try:
            while True:
                opened.recv(2048, socket.MSG_DONTWAIT)
                took.append(now() - (begin + len(took) * interval))
        except BlockingIOError:
            if now() > last:
                raise workload.missing(f"{len(datagrams) - len(took)} answers") from None
    return took
