"""Network namespaces that belong to one process and vanish with it.

A namespace is named ``kemi-<owner>-<lab>-<host>``; the owner is the process id and its start time, so that a name
says for ever whether its owner is still alive, even when the process id is used again.
"""

import contextlib
import ctypes
import itertools
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from kemi.deadline import DeadlineError, wait_until
from kemi.lab.errors import LabError

RUN = Path("/run")
"""Where a laboratory has a folder of sockets, named like its namespaces: their paths must be short."""

_NETNS = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_ENDED = "ZX"
_NAME = re.compile(r"kemi-(?P<owner>\d+\.\d+)-\d+(-.+)?")
_labs = itertools.count(1)


def owner(pid: int | None = None) -> str:
    """Name of a process that no later process can have: ``<pid>.<start time>``. Raises ProcessLookupError."""
    pid = pid or os.getpid()
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError as error:
        raise ProcessLookupError(f"no process {pid}") from error
    # Fields 3 (state) and 22 (start time) of proc(5), which follow the command's name.
    state, *rest = stat.rpartition(")")[2].split()
    if state in _ENDED:
        raise ProcessLookupError(f"process {pid} has ended; only its parent has not taken note yet")
    return f"{pid}.{rest[18]}"


def next_prefix() -> str:
    """A prefix for the names of one laboratory of this process: ``kemi-<owner>-<number>-``."""
    return f"kemi-{owner()}-{next(_labs)}-"


def is_alive(owner_name: str) -> bool:
    """Whether the process that `owner` named still runs."""
    try:
        return owner(int(owner_name.partition(".")[0])) == owner_name
    except (ProcessLookupError, ValueError):
        return False


def _ours(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("kemi-*") if _NAME.fullmatch(path.name))


def _is_stale(path: Path) -> bool:
    found = _NAME.fullmatch(path.name)
    return bool(found and not is_alive(found["owner"]))


def names() -> list[str]:
    """Names of all laboratory namespaces on this machine, of whatever owner."""
    return [path.name for path in _ours(_NETNS)]


def remove_stale() -> list[str]:
    """Remove namespaces, their processes and socket folders whose owner is gone; returns the names removed."""
    stale = [path.name for path in _ours(_NETNS) if _is_stale(path)]
    for name in stale:
        Namespace(name).remove()
    for path in filter(_is_stale, _ours(RUN)):
        shutil.rmtree(path, ignore_errors=True)
    return stale


class Namespace:
    """One network namespace, by name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Namespace({self.name!r})"

    @property
    def exists(self) -> bool:
        return (_NETNS / self.name).exists()

    def add(self) -> None:
        """Create it, with loopback up and without IPv6 (addresses there would come and go on their own)."""
        _run(["ip", "netns", "add", self.name])
        self.ip("link set lo up")
        self.sysctl("net.ipv6.conf.all.disable_ipv6", 1)

    def remove(self) -> None:
        """Kill what runs inside and delete it; nothing happens if it is gone already."""
        # What takes longer has been killed, too, and ends when the system lets it.
        with contextlib.suppress(DeadlineError):
            wait_until(f"the processes in {self.name} to end", self._killed_all, seconds=5)
        # Another cleaner may be faster: only a namespace that stays is an error.
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)
        if self.exists:
            raise LabError(f"namespace {self.name}: could not be deleted; try: ip netns del {self.name}")

    def processes(self) -> list[int]:
        """Process ids that run inside."""
        answer = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in answer.stdout.split()]

    def _killed_all(self) -> bool:
        running = self.processes()
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not running

    def ip(self, *commands: str) -> None:
        """Run ip(8) commands inside, all at once. Raises LabError with ip's own words."""
        _run(["ip", "-n", self.name, "-batch", "-"], "\n".join(commands) + "\n")

    def nft(self, rules: str) -> None:
        """Load an nftables file inside. Raises LabError with nft's own words."""
        _run([*self.inside(), "nft", "-f", "-"], rules)

    def sysctl(self, key: str, value: int | str) -> None:
        with self.entered():
            Path("/proc/sys", *key.split(".")).write_text(f"{value}\n")

    def inside(self) -> list[str]:
        """The words to put before a command so that it runs inside."""
        return ["ip", "netns", "exec", self.name]

    def output(self, command: Sequence[str], seconds: float = 30) -> str:
        """What a command prints inside. Raises LabError when it fails or takes longer than `seconds`."""
        return _run([*self.inside(), *command], seconds=seconds)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Within the block this thread (and no other) is inside: sockets opened there stay in the namespace."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            there = os.open(_NETNS / self.name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _set_namespace(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _set_namespace(home)
        finally:
            os.close(home)


def _set_namespace(descriptor: int) -> None:
    # os.setns() exists since Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


def _run(command: Sequence[str], stdin: str = "", seconds: float = 30) -> str:
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False
        )
    except FileNotFoundError as error:
        raise LabError(
            f"{command[0]}: not installed (see the packages that `make setup` installs)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(command)}: still running after {seconds:g} s") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"{' '.join(command)}: exit {done.returncode}: {said}\n{stdin}".rstrip())
    return done.stdout
