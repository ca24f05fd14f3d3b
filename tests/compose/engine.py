"""A Docker engine of our own: Debian 13's, with a network, processes, mounts and a data folder that no other one sees.

It runs in a network namespace, so its bridges, addresses and published ports meet nobody else's; a user-mode network
(slirp4netns) lets its builds reach the package mirrors without a rule in this machine's firewall. It is the first
process of its own process namespace, so whatever it started ends with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kemi.cli.paths import PACKAGE
from kemi.deadline import wait_until
from kemi.lab import namespace as namespaces
from kemi.lab import reaper
from kemi.lab.errors import LabError
from kemi.lab.namespace import RUN, Namespace
from kemi.process import ChildProcess, end_with_parent
from tests.parity.root import Root, make

HOST = "192.0.2.10"
"""The engine's machine as the outside sees it."""
OUTSIDE = "192.0.2.50"
"""Another machine, which reaches HOST and nothing behind it."""

_FOLDERS = PACKAGE.parent / "runs" / "engines"
_PACKAGES = (
    "docker.io",
    "docker-cli",
    "docker-compose",
    "docker-buildx",
    "ca-certificates",
    "iproute2",
    "iptables",
    "make",
    "python3",
    "slirp4netns",
)
_CERTIFICATES = Path("/usr/local/share/ca-certificates")
_CGROUPS = Path("/sys/fs/cgroup")
_NAMES_PORT = "10.0.2.3"  # where slirp4netns answers for this machine's name server

# Arguments: the root, the file to be its resolv.conf, how many folders are to be the same inside, these folders, the
# command. A container's processes enter the root of the mount namespace: chroot would not move that, pivot_root does.
_ENTER = """
root=$1; names=$2; shared=$3; shift 3
mount --bind "$root" "$root"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t proc proc "$root/proc"
touch "$root/etc/resolv.conf"
mount --bind "$names" "$root/etc/resolv.conf"
while [ "$shared" -gt 0 ]; do
    mkdir -p "$root$1"
    mount --rbind "$1" "$root$1"
    shared=$((shared - 1)); shift
done
cd "$root"
mkdir -p run/old
pivot_root . run/old
cd /
umount -l /run/old
exec "$@"
"""
_SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"


class Engine:
    """The running engine. What it keeps is in `folder`, which is shared with it like a folder of its own machine."""

    def __init__(self, root: Root, folder: Path, prefix: str) -> None:
        self.folder = folder
        self.namespace = Namespace(f"{prefix}engine")
        self.outside = Namespace(f"{prefix}outside")
        self._root = root
        self._sockets = RUN / prefix.rstrip("-")
        self._cgroup = prefix.rstrip("-")
        self._processes: list[ChildProcess] = []
        self.environment: dict[str, str] = {}
        """What commands on this machine find in their environment."""

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        self._sockets.mkdir()
        for one in (self.namespace, self.outside):
            one.add()
        self.namespace.ip(
            f"link add outside type veth peer name eth0 netns {self.outside.name}",
            f"addr add {HOST}/24 dev outside",
            "link set outside up",
        )
        self.outside.ip(f"addr add {OUTSIDE}/24 dev eth0", "link set eth0 up")
        self._start_uplink()
        names = self.folder / "resolv.conf"
        names.write_text(f"nameserver {_NAMES_PORT}\n")
        network = ["nsenter", f"--net=/run/netns/{self.namespace.name}"]
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        words = ["dockerd", f"--host=unix://{self._socket}", f"--data-root={self.folder / 'data'}"]
        words += [f"--exec-root={self._sockets / 'exec'}", f"--pidfile={self._sockets / 'pid'}"]
        words += [f"--cgroup-parent={self._cgroup}"]
        daemon = self._start("dockerd", [*network, *alone], words, names, [self.folder, self._sockets])
        self._await("Docker", daemon, lambda: self.succeeds(["docker", "version"]))

    def close(self) -> None:
        """End everything that runs in it at once, and remove what it kept."""
        for process in reversed(self._processes):
            process.kill()
        for one in (self.outside, self.namespace):
            one.remove()
        shutil.rmtree(self._sockets, ignore_errors=True)
        shutil.rmtree(self.folder)
        _remove_cgroups(self._cgroup)

    def run(
        self,
        command: Sequence[str],
        *,
        folder: Path | None = None,
        seconds: float = 60,
        stdin: bytes | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the engine's machine, in `folder`; its exit status and what it printed."""
        shared = [self.folder, self._sockets]
        inside = self._root.command(["env", "-C", str(folder or self.folder), *command], shared)
        done = subprocess.run(
            [*self.namespace.inside(), *inside],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=seconds,
            check=False,
            env={
                "PATH": _SYSTEM,
                "HOME": str(self.folder),
                "LC_ALL": "C.UTF-8",
                "DOCKER_HOST": f"unix://{self._socket}",
                **self.environment,
            },
        )
        texts = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(list(command), done.returncode, *texts)

    def output(
        self,
        command: Sequence[str],
        *,
        folder: Path | None = None,
        seconds: float = 60,
        stdin: bytes | None = None,
    ) -> str:
        """What a command prints. Raises LabError with all it said when it fails."""
        done = self.run(command, folder=folder, seconds=seconds, stdin=stdin)
        if done.returncode != 0:
            raise LabError(f"{' '.join(command)}: exit {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def succeeds(self, command: Sequence[str]) -> bool:
        return self.run(command).returncode == 0

    def kill(self, pid: int) -> None:
        """Send SIGKILL to a process by its number in the engine's process namespace, as `docker inspect` tells it."""
        daemon = self._processes[-1].pid
        (first,) = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
        command = ["nsenter", f"--target={first}", "--pid", "kill", "-KILL", str(pid)]
        subprocess.run(command, check=True, capture_output=True, timeout=10)

    def add_base_image(self, name: str) -> None:
        """Make the base image of the Dockerfiles, which a registry has for everybody else, by debootstrap."""
        base = make("trixie", f"image-{name.replace(':', '-')}", packages=(), proof=("dpkg", "--version"))
        trusted = base.path / str(_CERTIFICATES).lstrip("/")
        trusted.mkdir(parents=True, exist_ok=True)
        for certificate in _CERTIFICATES.glob("*.crt"):
            shutil.copy(certificate, trusted)
        changes = [f"--change=ENV {line}" for line in _pip_environment()]
        left_out = ["--exclude=./var/cache/apt/archives/*.deb", "--exclude=./run/*", "--exclude=./tmp/*"]
        packed = subprocess.run(
            ["tar", "-C", str(base.path), *left_out, "-c", "."], check=True, capture_output=True, timeout=120
        )
        self.output(["docker", "import", *changes, "-", name], stdin=packed.stdout, seconds=120)

    @property
    def _socket(self) -> Path:
        return self._sockets / "docker.sock"

    def _start_uplink(self) -> None:
        words = ["slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path"]
        words += [f"/run/netns/{self.namespace.name}", "tap0"]
        own_names = Path("/etc/resolv.conf").resolve()
        uplink = self._start("slirp4netns", ["unshare", "--mount"], words, own_names, [Path("/run/netns")])
        with self.namespace.entered():
            # Ready when its interface has an address: the default route goes through it.
            self._await(
                "slirp4netns", uplink, lambda: "tap0" in Path("/proc/thread-self/net/route").read_text()
            )

    def _start(
        self, name: str, around: Sequence[str], command: Sequence[str], names: Path, shared: Sequence[Path]
    ) -> ChildProcess:
        enter = ["env", f"PATH={_SYSTEM}", "sh", "-eu", "-c", _ENTER, "enter"]
        arguments = [str(self._root.path), str(names), str(len(shared)), *map(str, shared)]
        log = self.folder / f"{name}.log"
        process = ChildProcess(name, [*around, *enter, *arguments, *command], log, prepare=end_with_parent)
        self._processes.append(process)
        return process

    def _await(self, what: str, process: ChildProcess, ready: Callable[[], bool]) -> None:
        def is_ready() -> bool:
            if not process.is_running:
                raise LabError(f"{what} ended while it was starting; {process.end_of_log(20)}")
            return ready()

        wait_until(f"{what} to be ready (log: {process.log})", is_ready, seconds=60, every=0.1)


@contextlib.contextmanager
def running() -> Iterator[Engine]:
    """An engine for the block, which has the base image. What killed runs left is removed first."""
    root = make("trixie", "engine", packages=_PACKAGES, proof=("docker", "compose", "version"))
    namespaces.remove_stale()
    remove_stale()
    with reaper.running():
        prefix = namespaces.next_prefix()
        engine = Engine(root, _FOLDERS / prefix.rstrip("-"), prefix)
        try:
            engine.start()
            engine.add_base_image("debian:trixie-slim")
            yield engine
        finally:
            engine.close()


def remove_stale() -> None:
    """Remove the folders and control groups of engines whose process was killed."""
    for folder in _FOLDERS.glob("kemi-*"):
        owner = folder.name.split("-")[1]
        if not namespaces.is_alive(owner):
            shutil.rmtree(folder)
            _remove_cgroups(folder.name)


def _remove_cgroups(name: str) -> None:
    """Remove the empty control groups of an engine, in every hierarchy; the kernel has no other end for them."""
    for top in (*_CGROUPS.glob(f"*/{name}"), *_CGROUPS.glob(name)):
        for path, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)


def _pip_environment() -> list[str]:
    """What pip needs inside: the certificates of this machine, and its package index if it has its own."""
    lines = ["PIP_CERT=/etc/ssl/certs/ca-certificates.crt"] if any(_CERTIFICATES.glob("*.crt")) else []
    asked = subprocess.run(
        [PACKAGE.parent / ".venv/bin/pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    index = os.environ.get("PIP_INDEX_URL") or asked.stdout.strip()
    return [*lines, f"PIP_INDEX_URL={index}"] if index else lines
