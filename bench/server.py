"""A contestant at work, and what its processes cost."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from bench.configurations import Configuration, Setup
from kemi.cli import probe
from kemi.deadline import wait_until
from kemi.testing.server import KamailioServer

SHARED_MEGABYTES = 768  # a transaction stays for 5 s after its end
BENCH = Path(__file__).resolve().parent
_READY_SECONDS = 120.0  # under valgrind


class Server(KamailioServer):
    """One contestant. `tool` is put before the command, as valgrind is."""

    def __init__(
        self, name: str, folder: Path, setup: Setup, configuration: Configuration, tool: Sequence[str] = ()
    ) -> None:
        values: dict[str, str | int | Path] = dict(configuration.values)
        if setup.database:
            values["DBURL"] = setup.database
        super().__init__(
            folder,
            defines=(*setup.all_defines, *configuration.defines),
            values=values,
            settings=configuration.settings,
            cfg=configuration.cfg,
        )
        self.name = name
        self.setup = setup
        self._tool = tuple(tool)
        self._pids: list[int] = []

    def command(self) -> list[str]:
        command = super().command()
        command[command.index("-m") + 1] = str(SHARED_MEGABYTES)
        command[command.index("-M") + 1] = str(self.setup.private_memory)
        if self.setup.allocator != "qm":
            command += ["-x", self.setup.allocator, "-X", self.setup.allocator]
        # Who asks over the control socket gets the answer at an address in the folder for temporary files.
        shared = (BENCH, self.setup.source, Path(tempfile.gettempdir()), self.folder)
        return self.setup.root.command([*self._tool, *command], shared)

    def start(self) -> Self:
        if self._tool:
            self._start_slowly()
        else:
            super().start()
        self._pids = [worker.pid for worker in self.workers()]
        return self

    def _start_slowly(self) -> None:
        process = self.launch()

        def answers() -> bool:
            if not process.is_running:
                raise process.failure("ended while it was starting")
            return all(
                probe.answers(transport, self.address, self.port, self.uri) for transport in probe.TRANSPORTS
            )

        wait_until(f"{self.name} to answer (log: {self.log})", answers, _READY_SECONDS, every=0.5)

    @property
    def worker_pids(self) -> list[int]:
        """The processes that read the UDP socket."""
        return [worker.pid for worker in self.workers() if worker.does.startswith("udp receiver")]

    def cpu_seconds(self) -> float:
        """CPU time of all processes so far, in user and system mode."""
        return cpu_seconds(self._pids)

    def private_bytes(self) -> int:
        """What one worker has for itself alone (unique set size); the mean, if there are several.

        Pages of Kamailio's shared memory that only this worker has touched so far are not its own.
        """
        pids = self.worker_pids
        return sum(_private(pid) for pid in pids) // len(pids)

    def total_bytes(self) -> int:
        """What all processes use, with what they share counted once (sum of the proportional set sizes)."""
        return sum(_proportional(pid, "Pss") for pid in self._pids)

    def made_bytes(self) -> int:
        """The same without pages of files: how many of those are mapped is the kernel's affair."""
        return sum(_proportional(pid, "Pss_(?:Anon|Shmem)") for pid in self._pids)


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of processes so far: nanoseconds of the scheduler, not clock ticks."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


# A mapping's head in proc(5)'s smaps: addresses, then rwxp, or rwxs for a shared one.
_MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ ...([ps]) ", re.MULTILINE)


def _private(pid: int) -> int:
    kinds_and_texts = _MAPPING.split(Path(f"/proc/{pid}/smaps").read_text())[1:]
    pairs = zip(kinds_and_texts[::2], kinds_and_texts[1::2], strict=True)
    return sum(_kilobytes(text, r"Private_\w+") for kind, text in pairs if kind == "p") * 1024


def _proportional(pid: int, fields: str) -> int:
    return _kilobytes(Path(f"/proc/{pid}/smaps_rollup").read_text(), fields) * 1024


def _kilobytes(text: str, fields: str) -> int:
    return sum(map(int, re.findall(rf"^{fields}: +(\d+) kB", text, re.MULTILINE)))


def cores() -> tuple[set[int], set[int]]:
    """The cores of the load and those of the servers; the same one if there is only one."""
    available = sorted(os.sched_getaffinity(0))
    return set(available[:1]), set(available[-1:])


@contextlib.contextmanager
def running_on(chosen: Iterable[int]) -> Iterator[None]:
    """What runs, and what is started, within the block runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
