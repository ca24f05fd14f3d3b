"""What `make up` does besides calling docker compose: `.env`, secrets, checks, and the words at the end.

It runs on the user's machine, so it needs nothing but Python.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import checks

ROOT = Path(__file__).resolve().parents[1]
ENV_FILE = ROOT / ".env"
SECRETS = ROOT / "var" / "secrets"

# Which line of .env becomes which secret of docker-compose.yml.
SECRET_FILES = {
    "DB_PASSWORD": "db_password",
    "DB_ROOT_PASSWORD": "db_root_password",
    "PHONE_PASSWORD": "phone_password",
    "GRAFANA_PASSWORD": "grafana_password",
}

DEFAULTS = {
    "PUBLISH_ADDRESS": "0.0.0.0",
    "SIP_PORT": "5060",
    "TLS_PORT": "5061",
    "MEDIA_PORTS": "35000-35059",
}

_TEMPLATE = """\
# Made by `make up`. Change what you like, then `make up` again. docs/compose.md explains each line.

# The address at which phones reach this machine. Behind a 1:1 NAT, as in most clouds: the public one.
ADVERTISED_ADDRESS={address}
# What stands behind the @ in your users' addresses.
SIP_DOMAIN={address}

# Ports on this machine: SIP over UDP and TCP, SIP over TLS, media (four for each call).
SIP_PORT=5060
TLS_PORT=5061
MEDIA_PORTS=35000-35059

# The database: this stack's own, or any MySQL server (then LOCAL_DATABASE=0).
LOCAL_DATABASE=1
DB_HOST=database
DB_PORT=3306
DB_NAME=kamailio
DB_USER=kamailio
DB_PASSWORD={db_password}
DB_ROOT_PASSWORD={db_root_password}
# Registrations: 0 memory only, 1 write-through, 2 write-back within a second, 3 database only.
DB_MODE=1

# The two phones of `docker compose --profile phones up`.
PHONE_PASSWORD={phone_password}
# User admin of Grafana in `docker compose --profile monitor up`.
GRAFANA_PASSWORD={grafana_password}
"""


class StackError(Exception):
    """The stack cannot start like this. The text says what to change."""


def prepare() -> None:
    """Make `.env` if there is none, check it, and write the secrets. Raises StackError."""
    if not ENV_FILE.exists():
        _make_env_file()
        _say(f"made {ENV_FILE.name}: this machine's address is {outgoing_address()}, passwords are random")
    values = read_env_file()
    faults = checks.faults(values) or list(_ports_in_use(DEFAULTS | values))
    if faults:
        raise StackError("\n".join(f".env: {fault}" for fault in faults))
    _write_secrets(values)


def read_env_file() -> dict[str, str]:
    """The values of `.env`. Raises StackError if it cannot be read."""
    try:
        text = ENV_FILE.read_text(encoding="utf-8")
    except OSError as error:
        raise StackError(f"{ENV_FILE}: {error.strerror}; who made it, root?") from error
    values = {}
    for line in text.splitlines():
        name, found, value = line.strip().partition("=")
        if found and not name.startswith("#"):
            values[name.strip()] = value.strip().strip("\"'")
    return values


def outgoing_address() -> str:
    """This machine's address by its routing table. Connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def welcome() -> None:
    """Say how to register a phone."""
    values = DEFAULTS | read_env_file()
    address, port = values["ADVERTISED_ADDRESS"], values["SIP_PORT"]
    rows = {
        "Domain": values["SIP_DOMAIN"],
        "Proxy": f"{address}:{port} (UDP or TCP), {address}:{values['TLS_PORT']} (TLS)",
        "Media": f"UDP ports {values['MEDIA_PORTS']}",
        "Add a user": "make user NAME=alice",
        "Your rules": "routes/routes.py, then make reload",
        "Logs": "make logs",
        "Stop": "make down (users and registrations stay)",
    }
    _say("The stack is up. Register a phone:")
    for name, value in rows.items():
        _say(f"  {name:<12}{value}")


def _make_env_file() -> None:
    text = _TEMPLATE.format(
        address=outgoing_address(),
        **{name: secrets.token_hex(16) for name in SECRET_FILES.values()},
    )
    with open(os.open(ENV_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _write_secrets(values: Mapping[str, str]) -> None:
    SECRETS.mkdir(parents=True, exist_ok=True)
    # Nobody else enters the folder. The files themselves are mounted into containers, whose users have other numbers.
    SECRETS.chmod(0o700)
    changed = False
    for name, file in SECRET_FILES.items():
        path, text = SECRETS / file, values.get(name, "")
        if path.exists():
            if path.read_text() == text:
                continue
            changed = True
            path.unlink()
        path.write_text(text)
        path.chmod(0o444)
    if changed:
        # Containers go on with the file they were started with, and compose does not look into it.
        command = ["docker", "compose", "--profile", "*", "rm", "--stop", "--force"]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)


def _ports_in_use(values: Mapping[str, str]) -> Iterator[str]:
    """A line for each setting with a port that another program has."""
    low, _, high = values["MEDIA_PORTS"].partition("-")
    wanted = [
        ("SIP_PORT", ("kamailio", "edge-1"), 5060, ("udp", "tcp"), [int(values["SIP_PORT"])]),
        ("TLS_PORT", ("kamailio", "edge-1"), 5061, ("tcp",), [int(values["TLS_PORT"])]),
        ("MEDIA_PORTS", ("rtpproxy",), int(low), ("udp",), range(int(low), int(high) + 1)),
    ]
    for name, services, inside, transports, ports in wanted:
        for transport in transports:
            taken = [port for port in ports if not _is_free(transport, values["PUBLISH_ADDRESS"], port)]
            if taken and ports[0] not in [_published(service, inside, transport) for service in services]:
                option = "-lntp" if transport == "tcp" else "-lnup"
                yield (
                    f"{name}={values[name]}: {transport} port {taken[0]} is in use on this machine; stop what uses it "
                    f"(see `ss {option}`) or set another {name}"
                )
                break


def _is_free(transport: str, address: str, port: int) -> bool:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if transport == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            # A port below 1024 is for root to try, an address that is not here for Docker to complain about.
            return error.errno != errno.EADDRINUSE
    return True


def _published(service: str, port: int, transport: str) -> int:
    """The port of this machine that this stack's own container has now, 0 if it does not run.

    One that ends again and again, for a password that is wrong, holds its port with interruptions.
    """
    asked = ["docker", "compose", "--profile", "*", "ps", "--all", "--quiet", service]
    found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    for container in found.stdout.split():
        command = [
            "docker",
            "inspect",
            "--format",
            "{{.State.Status}} {{json .HostConfig.PortBindings}}",
            container,
        ]
        shown = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout
        state, _, bindings = shown.partition(" ")
        if state in ("running", "restarting"):
            bound = (json.loads(bindings) or {}).get(f"{port}/{transport}")
            return int(bound[0]["HostPort"]) if bound else 0
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> int:
    verbs = {"prepare": prepare, "welcome": welcome}
    if len(sys.argv) != 2 or sys.argv[1] not in verbs:
        sys.stderr.write(f"usage: stack.py {'|'.join(verbs)}\n")
        return 2
    try:
        verbs[sys.argv[1]]()
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
