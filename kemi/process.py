"""A child process: what it prints goes to a file, and nothing that it started outlives it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_ASK_AGAIN_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> None:
    """In a child before its program starts: should the thread that started it be killed, the child gets SIGTERM."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class ChildProcess:
    """A started program, in a session and so in a process group of its own.

    `log` is appended to, `environment` is added to ours, `prepare` runs in the child before the program does. With
    `keep_input_open` its standard input stays open and silent: several programs end when it closes.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        keep_input_open: bool = False,
        prepare: Callable[[], None] | None = end_with_parent,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.PIPE if keep_input_open else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=prepare,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; below 0 the signal that ended it."""
        return self._popen.poll()

    @property
    def is_running(self) -> bool:
        return self.exit_status is None

    @property
    def output(self) -> str:
        """What the log holds now."""
        return self.log.read_text(errors="replace")

    def tail(self, lines: int) -> str:
        """The last lines of the log."""
        return "\n".join(self.output.splitlines()[-lines:])

    def end_of_log(self, lines: int) -> str:
        """The last lines of the log as the end of an error message, with the log's name."""
        shown = "\n".join(f"  | {line}" for line in self.tail(lines).splitlines()) or "  | (empty)"
        return f"the end of {self.log}:\n{shown}"

    def ended(self, seconds: float) -> int | None:
        """Wait for its end, `seconds` at most; the exit status, or None if it still runs."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 10) -> int:
        """Ask it to end, and its group as well if it takes long; kill what is left after `seconds`; the exit status."""
        if self.is_running:
            self._popen.send_signal(number)
        end = time.monotonic() + seconds
        while self.ended(min(_ASK_AGAIN_SECONDS, max(end - time.monotonic(), 0))) is None:
            if time.monotonic() >= end:
                break
            # A process of Kamailio that has not run since its fork takes the first signal for the main process's
            # and forgets it, and the main process waits for it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
        return self.kill()

    def kill(self) -> int:
        """End it and its children at once, as a crash of the machine would; the exit status."""
        # The workers of a server whose main process was killed go on: they are ended with its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        if self._popen.stdin:
            self._popen.stdin.close()
        return self._popen.wait(5)
