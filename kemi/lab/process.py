"""A process in a namespace, ended with the laboratory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kemi.deadline import wait_until
from kemi.lab.errors import LabError
from kemi.lab.namespace import Namespace
from kemi.process import ChildProcess

_LINES_SHOWN = 15


class Process(ChildProcess):
    """A program started in a namespace.

    Should this Python process be killed, the laboratory's reaper ends the program with its namespace.
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
        log.parent.mkdir(parents=True, exist_ok=True)
        # No `prepare`: phones are started from threads, with which a program would end, and which it may deadlock.
        super().__init__(
            name,
            [*namespace.inside(), *command],
            log,
            folder=cwd,
            environment=env,
            keep_input_open=True,
            prepare=None,
        )

    def require_running(self) -> None:
        """Raise LabError with the end of the log if the program has ended."""
        if not self.is_running:
            raise LabError(
                f"{self.name} ended with exit status {self.exit_status}; {self.log}:\n{self.tail()}"
            )

    def tail(self, lines: int = _LINES_SHOWN) -> str:
        return super().tail(lines)

    def wait_for_line(self, text: str, seconds: float) -> None:
        """Wait until the log holds `text`. Raises DeadlineError, or LabError when the program ends before."""

        def found() -> bool:
            if text in self.output:
                return True
            self.require_running()
            return False

        wait_until(f"{self.name} to say {text!r} (log: {self.log})", found, seconds)
