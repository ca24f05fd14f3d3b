"""Child processes: their log, their end, and that of what they started."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kemi import process
from kemi.deadline import wait_until
from kemi.lab.namespace import is_alive, owner
from kemi.process import ChildProcess

Run = Callable[[str], ChildProcess]
STUBBORN = "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
PARENT = (
    f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]).pid, flush=True)"
)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started: list[ChildProcess] = []

    def start(program: str) -> ChildProcess:
        command = [sys.executable, "-c", program]
        started.append(ChildProcess("child", command, tmp_path / "log", environment={"ANSWER": "42"}))
        return started[-1]

    yield start
    for child in started:
        child.kill()


def test_output_and_errors_are_in_the_log_and_the_end_is_told(run: Run, tmp_path: Path) -> None:
    child = run("import os, sys; print(os.environ['ANSWER'], flush=True); sys.exit('wrong')")
    assert child.ended(10) == 1
    assert (child.exit_status, child.is_running) == (1, False)
    assert child.output == "42\nwrong\n"
    assert child.tail(1) == "wrong"
    assert child.end_of_log(5) == f"the end of {tmp_path / 'log'}:\n  | 42\n  | wrong"


def test_a_program_that_printed_nothing_has_an_empty_log(run: Run, tmp_path: Path) -> None:
    child = run("pass")
    assert child.ended(10) == 0
    assert child.end_of_log(5) == f"the end of {tmp_path / 'log'}:\n  | (empty)"


def test_a_stop_asks_first_and_then_kills(run: Run) -> None:
    child = run(STUBBORN)
    wait_until("the program to run", lambda: child.output == "up\n", seconds=10)
    assert child.ended(0) is None
    assert child.stop(seconds=0.1) == -signal.SIGKILL


def test_a_stop_that_takes_long_reaches_what_the_program_waits_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_ASK_AGAIN_SECONDS", 0.1)
    child = run(
        "import os, signal, subprocess, sys; signal.signal(signal.SIGTERM, lambda *_: None); "
        "worker = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']); "
        # At once: while Python ends it has no handlers any more, and it is asked again and again.
        "print('up', flush=True); os._exit(-worker.wait())"
    )
    wait_until("the program to run", lambda: child.output == "up\n", seconds=10)
    assert child.stop() == signal.SIGTERM


def test_what_a_program_started_ends_with_it(run: Run) -> None:
    child = run(f"{PARENT}; import signal; signal.pause()")
    wait_until("the program's own child to run", lambda: child.output.endswith("up\n"), seconds=10)
    grandchild = owner(int(child.output.split()[0]))
    assert child.stop() == -signal.SIGTERM
    wait_until("the program's own child to end", lambda: not is_alive(grandchild), seconds=10)


def test_a_program_ends_with_the_one_that_started_it(run: Run, tmp_path: Path) -> None:
    child = run(
        "import signal, sys; from pathlib import Path; from kemi.process import ChildProcess; "
        "command = [sys.executable, '-c', 'import signal; signal.pause()']; "
        f"print(ChildProcess('inner', command, Path({str(tmp_path / 'inner')!r})).pid, flush=True); signal.pause()"
    )
    wait_until("the inner program to start", lambda: child.output.endswith("\n"), seconds=10)
    inner = owner(int(child.output))
    child.kill()
    wait_until("the inner program to end", lambda: not is_alive(inner), seconds=10)
