"""Nothing of a laboratory outlives it: not after a failure, not when its process was killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kemi.deadline import wait_until
from kemi.lab import lab as lab_module
from kemi.lab.errors import LabError
from kemi.lab.lab import Lab
from kemi.lab.namespace import RUN, Namespace, is_alive, names, owner, remove_stale
from kemi.lab.nat import FULL_CONE
from kemi.lab.process import Process

# Builds a laboratory with a server and, behind a gateway, a program that has a child of its own; then waits.
CHILD = """
import sys
from pathlib import Path
from kemi.lab import FULL_CONE
from kemi.lab.lab import Lab
from kemi.lab.process import Process

with Lab(Path(sys.argv[1])) as lab:
    lab.kamailio()
    host = lab.gateway(FULL_CONE).host("phone")
    Process("parent", ["sh", "-c", "sleep 300 & sleep 300"], host.namespace, lab.run_dir / "parent.log")
    print(lab.internet.prefix, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process with a laboratory; killed after the test at the latest."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path / "child")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()
    wait_until("the child's namespaces to vanish", lambda: not namespaces_of(process.pid), seconds=10)


def prefix_of(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def namespaces_of(pid: int) -> list[str]:
    return [name for name in names() if name.startswith(f"kemi-{pid}.")]


def processes_in(namespaces: list[str]) -> list[int]:
    return [pid for name in namespaces for pid in Namespace(name).processes()]


def reaper_of(pid: int) -> int:
    """Process id of the reaper that watches `pid`."""
    for folder in Path("/proc").glob("[0-9]*"):
        words = (folder / "cmdline").read_bytes().split(b"\0") if folder.exists() else []
        if b"kemi.lab.reaper" in words and str(pid).encode() in words:
            return int(folder.name)
    raise AssertionError(f"no reaper watches process {pid}")


def runs(pid: int) -> bool:
    """Whether the process still does anything: a zombie only waits for whoever inherited it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_a_failure_leaves_only_the_run_folder_and_names_it(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    pids: list[int] = []
    with pytest.raises(ZeroDivisionError) as caught, Lab(run_dir) as lab:  # noqa: PT012 - the block is the subject
        host = lab.gateway(FULL_CONE).host("phone")
        Process("parent", ["sh", "-c", "echo here; sleep 300"], host.namespace, run_dir / "parent.log")
        pids = processes_in([namespace.name for namespace in lab.internet])
        _ = 1 / 0
    assert caught.value.__notes__ == [f"captures and logs: {run_dir}"]
    assert pids
    assert not [pid for pid in pids if runs(pid)]
    assert not [name for name in names() if name.startswith(lab.internet.prefix)]
    assert (run_dir / "parent.log").exists()


def test_a_run_folder_is_removed_after_success_unless_it_is_to_be_kept(tmp_path: Path) -> None:
    with Lab(tmp_path / "gone") as lab:
        assert lab.run_dir.exists()
    with Lab(tmp_path / "kept", keep=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_run_folder_takes_the_place_of_an_earlier_one_but_of_nothing_else(tmp_path: Path) -> None:
    for text in ("earlier", "later"):
        with Lab(tmp_path / "run", keep=True) as lab:
            (lab.run_dir / text).touch()
    assert not (tmp_path / "run" / "earlier").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    with pytest.raises(
        LabError, match=r"mine: expected a new folder, or one of an earlier run; it holds other files"
    ):
        Lab(tmp_path / "mine").__enter__()
    assert (tmp_path / "mine" / "letter").exists()


def test_a_laboratory_that_cannot_be_built_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Namespace, "sysctl", _refuse)
    with pytest.raises(LabError, match="refused"):
        Lab(tmp_path / "run").__enter__()
    assert not namespaces_of(os.getpid())


def _refuse(self: Namespace, key: str, value: int | str) -> None:
    raise LabError(f"{self.name}: {key} = {value} refused")


def test_a_killed_run_is_cleaned_up_at_once(child: subprocess.Popen[str]) -> None:
    prefix = prefix_of(child)
    namespaces = namespaces_of(child.pid)
    pids = processes_in(namespaces)
    assert {name.removeprefix(prefix) for name in namespaces} == {"internet", "server", "nat1", "phone"}
    assert len(pids) > 10, "Kamailio alone has more processes"
    sockets = RUN / prefix.rstrip("-")
    assert sockets.exists()
    child.kill()
    child.wait()
    wait_until("the namespaces of the killed run to vanish", lambda: not namespaces_of(child.pid), seconds=10)
    assert not [pid for pid in pids if runs(pid)]
    wait_until("the socket folder of the killed run to vanish", lambda: not sockets.exists(), seconds=5)


def test_a_killed_run_whose_reaper_was_killed_is_cleaned_up_by_the_next(
    child: subprocess.Popen[str], tmp_path: Path
) -> None:
    prefix_of(child)
    pids = processes_in(namespaces_of(child.pid))
    reaper = reaper_of(child.pid)
    os.kill(reaper, signal.SIGKILL)
    wait_until(f"reaper {reaper} to end", lambda: not runs(reaper), seconds=5)
    child.kill()
    child.wait()
    with Lab(tmp_path / "next"):
        assert not namespaces_of(child.pid)
    assert not [pid for pid in pids if runs(pid)]


def test_a_laboratory_of_a_living_process_is_left_alone(child: subprocess.Popen[str], tmp_path: Path) -> None:
    prefix_of(child)
    before = namespaces_of(child.pid)
    with Lab(tmp_path / "other"):
        assert not [name for name in remove_stale() if name in before]
    assert namespaces_of(child.pid) == before


def test_an_owner_is_known_by_more_than_a_process_id() -> None:
    me = owner()
    assert is_alive(me)
    assert not is_alive(f"{os.getpid()}.1"), "another process had this id before"
    assert not is_alive("no owner")


def test_an_owner_has_gone_when_it_ends_not_when_its_parent_takes_note(child: subprocess.Popen[str]) -> None:
    prefix_of(child)
    name = owner(child.pid)
    assert is_alive(name)
    child.kill()
    wait_until(f"{name} to be gone while it is a zombie", lambda: not is_alive(name), seconds=5)


def test_without_root_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match=r"must run as root: try sudo$"):
        Lab(tmp_path / "run").__enter__()


def test_missing_programs_are_named_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab_module, "PACKAGES", {"ip": "iproute2", "no-such-phone": "phones"})
    with pytest.raises(LabError, match=r"the laboratory needs no-such-phone; on Debian: apt install phones"):
        Lab(tmp_path / "run").__enter__()
