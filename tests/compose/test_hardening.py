"""What a container may do, and what its owner pastes into a bug report."""

from __future__ import annotations

import json
import stat
import subprocess

import pytest

from tests.compose.stack import Stack
from tests.parity.root import make

SERVICES = ("kamailio", "rtpproxy", "database")
PASSWORDS = ("DB_PASSWORD", "DB_ROOT_PASSWORD", "PHONE_PASSWORD")

# User and effective capabilities of every process but of this script itself.
_PROCESSES = r"""
for status in /proc/[0-9]*/status; do
    [ "$status" = "/proc/$$/status" ] || awk '
        /^Name:/ { name = $2 } /^Uid:/ { uid = $3 } /^PPid:/ { parent = $2 } /^CapEff:/ { caps = $2 }
        END { if (parent != self) print name, uid, caps }' self=$$ "$status"
done
"""


@pytest.mark.parametrize("service", SERVICES)
def test_no_process_is_root_or_has_a_capability(stack: Stack, service: str) -> None:
    running = stack.execute(service, "sh", "-c", _PROCESSES).splitlines()
    assert running
    for line in running:
        name, uid, capabilities = line.split()
        if name.startswith("runc:"):
            continue  # the engine's own step before the program of a health check
        assert uid != "0", f"{name} runs as root"
        assert int(capabilities, 16) == 0, f"{name} has capabilities {capabilities}"


@pytest.mark.parametrize("service", SERVICES)
def test_the_root_folder_is_read_only_and_limits_and_log_rotation_are_set(stack: Stack, service: str) -> None:
    host = stack.inspect(service)["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}


def test_env_file_and_secrets_are_for_their_owner_only(stack: Stack) -> None:
    assert stat.S_IMODE(stack.env_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((stack.folder / "var/secrets").stat().st_mode) == 0o700
    assert len({stack.env[name] for name in PASSWORDS}) == len(PASSWORDS)


def test_no_password_stands_where_people_paste_from(stack: Stack) -> None:
    shown = stack.compose("--profile", "*", "config")
    shown += stack.compose("--profile", "*", "config", "--format", "json")
    for service in SERVICES:
        shown += json.dumps(stack.inspect(service))
        shown += stack.logs(service)
        shown += stack.execute(service, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        shown += stack.execute(service, "env")
    for name in PASSWORDS:
        assert stack.env[name] not in shown, f"{name} is shown"


def test_the_file_is_valid_for_newer_versions_of_compose(stack: Stack) -> None:
    newer = make(
        "forky",
        "compose-forky",
        packages=("docker-cli", "docker-compose"),
        proof=("docker", "compose", "version"),
    )
    words = ["env", "-C", str(stack.folder), "docker", "compose", "--profile", "*", "config"]
    done = subprocess.run(
        newer.command(words, [stack.folder]), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    for name in PASSWORDS:
        assert stack.env[name] not in done.stdout
