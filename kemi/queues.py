"""Queues in Kamailio's shared memory (module mqueue): from the workers to a process with time.

Whatever waits for somebody else (a web server, a mail server) must not run in a worker, which answers nobody meanwhile.
A thread would not help: app_python3 lets threads run only while the process runs Python code, unless its parameter
threads_mode (since 6.0) says otherwise. So the worker puts a text into a queue, and a process that handles no SIP takes
it out. kamailio.cfg declares both (modules mqueue and rtimer)::

    modparam("mqueue", "mqueue", "name=missed_calls;size=1000")
    modparam("rtimer", "timer", "name=missed_calls;interval=100000u;mode=1;")
    modparam("rtimer", "exec", "timer=missed_calls;route=MISSED_CALLS")
    route[MISSED_CALLS] {
        python_exec("ksr_event", "missed_calls");
    }

``mode=1`` is a process of its own; :meth:`kemi.router.Router.on_event` gets the event ten times a second. A queue holds
``size`` texts; one more pushes the oldest out. A restart empties it.
"""

from __future__ import annotations

from collections.abc import Iterator

import KSR

from kemi.message import tolerant


def put(queue: str, text: str) -> None:
    """Put a text into the queue; returns at once."""
    KSR.mqueue.mq_add(queue, "text", text)


def take_all(queue: str) -> Iterator[str]:
    """Take out, one by one, as many texts as there are now; what comes in meanwhile is left for the next time."""
    for _ in range(int(KSR.mqueue.mq_size(queue))):
        if KSR.mqueue.mq_fetch(queue) < 0:
            return
        yield tolerant(lambda: KSR.mqueue.mqv_gete(queue), "null")
