"""The Kamailio of another Debian suite: a root folder made by debootstrap, in which a server of a comparison runs.

Nothing is ever mounted outside of a namespace of mounts that ends with its last process, so nothing stays mounted, not
even after a kill.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kemi.cli.paths import PACKAGE
from kemi.lab.errors import LabError

SUITES = ("trixie", "forky")
ROOTS = PACKAGE.parent / "var" / "roots"
PACKAGES = (
    "kamailio",
    "kamailio-python3-modules",
    "kamailio-sqlite-modules",
    "kamailio-presence-modules",
    "kamailio-tls-modules",
    "kamailio-extra-modules",
    "kamailio-utils-modules",
    "python3-yaml",
)
# The last thing that is written into a finished root; it holds what the root was made of.
_STAMP = "etc/kemi-parity"
_MAKE_SECONDS = 600.0
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

# Arguments: the root, how many folders are to be the same inside, these folders, the command. An empty /run first:
# mount points below it are then not left in the root.
_ENTER = """
root=$1; shared=$2; shift 2
mount --bind "$root" "$root"
mount -t tmpfs tmpfs "$root/run"
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
while [ "$shared" -gt 0 ]; do
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    shared=$((shared - 1)); shift
done
cd "$root"
exec chroot "$root" /usr/bin/env PATH="$PATH" "$@"
"""


@dataclass(frozen=True)
class Root:
    """Where an installed Kamailio is; "/" is the machine's own."""

    path: Path = Path("/")

    @property
    def stock(self) -> Path:
        """Its own configuration file."""
        return self.path / "etc/kamailio/kamailio.cfg"

    @property
    def sql(self) -> Path:
        """The folder of its SQL files, as `kemi.cli.schema.read_tables` takes it."""
        return self.path / "usr/share/kamailio"

    def version(self) -> str:
        """What its Kamailio says of itself. Raises LabError when it does not run."""
        return _output(self.command(["kamailio", "-v"]), 20).partition("\n")[0]

    def command(self, words: Sequence[str], shared: Sequence[Path] = ()) -> list[str]:
        """The command that runs `words` inside, where `shared` folders are the same as outside."""
        if self.path == Path("/"):
            return list(words)
        enter = ["unshare", "--mount", "env", f"PATH={_PATH}", "sh", "-eu", "-c", _ENTER, "enter"]
        return [*enter, str(self.path), str(len(shared)), *map(str, shared), *words]


#: The machine's own Kamailio.
MACHINE = Root()


def make(
    suite: str,
    name: str = "",
    packages: Sequence[str] = PACKAGES,
    proof: Sequence[str] = ("kamailio", "-v"),
) -> Root:
    """The root of a Debian suite; made if it is not there, not complete or not of these packages any more.

    It is called like the suite, unless it has a `name`, and complete if the command `proof` works inside. It takes a
    minute, and root's rights. Raises LabError with the end of debootstrap's words when it fails.
    """
    if suite not in SUITES:
        raise LabError(f"suite {suite}: expected one of {', '.join(SUITES)}")
    ROOTS.mkdir(parents=True, exist_ok=True)
    root = Root(ROOTS / (name or suite))
    contents = " ".join((suite, *packages))
    with (ROOTS / f"{root.path.name}.lock").open("w") as lock:
        # Another run may be making it now.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_whole(root, contents, proof):
            shutil.rmtree(root.path, ignore_errors=True)
            _debootstrap(suite, root.path, packages, lock.fileno())
            _output(root.command(proof), 20)
            (root.path / _STAMP).write_text(contents)
    return root


def _is_whole(root: Root, contents: str, proof: Sequence[str]) -> bool:
    stamp = root.path / _STAMP
    if not stamp.exists() or stamp.read_text() != contents:
        return False
    try:
        return bool(_output(root.command(proof), 20))
    except LabError:
        return False


def _debootstrap(suite: str, folder: Path, packages: Sequence[str], lock: int) -> None:
    # The script "sid" suits every suite, also one that this machine's debootstrap does not know yet.
    command = ["unshare", "--mount", "debootstrap", "--variant=minbase"]
    command += [f"--include={','.join(packages)}"] if packages else []
    log = folder.with_suffix(".log")
    # Should this process be killed, the lock is held on until debootstrap has ended as well.
    _output([*command, suite, str(folder), _mirror(), "sid"], _MAKE_SECONDS, log, keep_open=[lock])


def _mirror() -> str:
    """The machine's own source of Debian packages."""
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    codename = release["VERSION_CODENAME"].strip('"')
    question = ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Origin: Debian"]
    answer = _output(question, 60)
    if not answer:
        # It names those only that it has read.
        _output(["apt-get", "-q", "update"], _MAKE_SECONDS)
        answer = _output(question, 60)
    for line in answer.splitlines():
        name, _, uri = line.partition(" ")
        if name == codename:
            return uri
    raise LabError(
        f"apt-get indextargets: expected a source of Debian's {codename}, found: {answer or 'none'}"
    )


def _output(
    command: Sequence[str], seconds: float, log: Path | None = None, keep_open: Sequence[int] = ()
) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            pass_fds=keep_open,
            env={**os.environ, "PATH": _PATH, "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise LabError(
            f"{error.filename}: not installed (see the packages that `make setup` installs)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(command)}: still running after {seconds:g} s") from error
    if log:
        log.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise LabError(f"{' '.join(command)}: exit {done.returncode}:\n{said}")
    return done.stdout
