"""Outlives a laboratory whose process was killed, and removes what it left.

``python -m kemi.lab.reaper PID`` waits until that process ends, then removes every namespace without a living owner.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator

from kemi.lab.namespace import remove_stale


@contextlib.contextmanager
def running() -> Iterator[None]:
    """Have a reaper for this process within the block, in a session of its own: a signal to our group spares it."""
    guard = subprocess.Popen(
        [sys.executable, "-m", "kemi.lab.reaper", str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        guard.kill()
        guard.wait()


def _main(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        pass
    else:
        select.select([descriptor], [], [])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    remove_stale()


if __name__ == "__main__":
    _main(int(sys.argv[1]))
