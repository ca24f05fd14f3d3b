"""A process in a namespace: output to a file, own process group, ended with the laboratory."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from kemi.lab.deadline import wait_until
from kemi.lab.errors import LabError
from kemi.lab.namespace import Namespace

_LINES_SHOWN = 15


class Process:
    """A started program.

    Its standard input stays open and silent: several programs end when it closes. Should this Python process be
    killed, the laboratory's reaper ends the program with its namespace.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        namespace: Namespace,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [*namespace.inside(), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=None if env is None else {**os.environ, **env},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        return self._popen.poll() is None

    def require_running(self) -> None:
        """Raise LabError with the end of the log if the program has ended."""
        if not self.is_running:
            raise LabError(
                f"{self.name} ended with exit status {self._popen.returncode}; {self.log}:\n{self.tail()}"
            )

    def tail(self) -> str:
        """The last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LINES_SHOWN:])

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 5) -> int:
        """Ask the program to end, kill what is left of its group after `seconds`; returns the exit status."""
        with contextlib.suppress(ProcessLookupError):
            if self.is_running:
                self._popen.send_signal(number)
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self._kill_group()
        self._kill_group()
        if self._popen.stdin:
            self._popen.stdin.close()
        return self._popen.wait(5)

    def kill(self) -> None:
        """End the program and its children without asking, as a crash would."""
        self._kill_group()
        self._popen.wait(5)

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    def wait_for_line(self, text: str, seconds: float) -> None:
        """Wait until the log holds `text`. Raises DeadlineError, or LabError when the program ends before."""

        def found() -> bool:
            if text in self.log.read_text(errors="replace"):
                return True
            self.require_running()
            return False

        wait_until(f"{self.name} to say {text!r} (log: {self.log})", found, seconds)
