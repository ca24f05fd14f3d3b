"""What `make up` does besides calling docker compose: `.env`, secrets, checks, and the words at the end.

It runs on the user's machine, so it needs nothing but Python.
"""

from __future__ import annotations

import os
import secrets
import socket
import stat
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import checks
import passwords
import ports
from engine import ROOT, StackError

ENV_FILE = ROOT / ".env"

# Those of docker-compose.yml.
DEFAULTS = {
    "PUBLISH_ADDRESS": "0.0.0.0",
    "SIP_PORT": "5060",
    "TLS_PORT": "5061",
    "MEDIA_PORTS": "35000-35059",
    "SIP_PORT_2": "5070",
    "TLS_PORT_2": "5071",
    "MEDIA_PORTS_2": "35100-35159",
    "MONITOR_ADDRESS": "127.0.0.1",
    "PROMETHEUS_PORT": "9090",
    "GRAFANA_PORT": "3000",
    "LOCAL_DATABASE": "1",
    "DB_USER": "kamailio",
    "ROUTES": "./routes",
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


def prepare(profiles: Collection[str]) -> None:
    """Make `.env` if there is none, check it, and write the secrets. Raises StackError."""
    if not ENV_FILE.exists():
        _make_env_file()
        _say(f"made {ENV_FILE.name}: this machine's address is {outgoing_address()}, passwords are random")
    values = read_values()
    profiles = {*profiles, *values.get("COMPOSE_PROFILES", "").split(",")}
    faults = checks.faults(values, checks.required(values, profiles)) or list(ports.in_use(values, profiles))
    if faults:
        raise StackError("\n".join(f".env: {fault}" for fault in faults))
    routes = ROOT / values["ROUTES"]
    if not routes.is_dir():
        raise StackError(
            f".env: ROUTES={values['ROUTES']}: expected the folder of your rules, found none there"
        )
    mounted = (routes, *routes.glob("*.*"), *(ROOT / "docker" / "monitor").rglob("*"))
    if closed := list(_unreadable(mounted)):
        raise StackError("\n".join(closed))
    passwords.store(values)


def read_values() -> dict[str, str]:
    """What docker compose takes for the variables: the environment's values, those of `.env`, defaults.

    Raises StackError if `.env` cannot be read.
    """
    try:
        text = ENV_FILE.read_text(encoding="utf-8")
    except OSError as error:
        raise StackError(f"{ENV_FILE}: {error.strerror}; who made it, root?") from error
    except UnicodeDecodeError as error:
        raise StackError(
            f"{ENV_FILE}: expected UTF-8, found a byte {error.object[error.start]:#x}"
        ) from error
    values = {}
    for line in text.splitlines():
        name, found, value = line.strip().removeprefix("export ").partition("=")
        if found and not name.startswith("#"):
            values[name.strip()] = value.strip().strip("\"'")
    names = {*values, *DEFAULTS, *checks.KNOWN, "COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME"}
    values |= {name: os.environ[name] for name in names if name in os.environ}
    return {**values, **{name: text for name, text in DEFAULTS.items() if not values.get(name)}}


def outgoing_address() -> str:
    """This machine's address by its routing table. Connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def welcome(_profiles: Collection[str]) -> None:
    """Say how to register a phone."""
    values = read_values()
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
        **{name: secrets.token_hex(16) for name in passwords.FILES.values()},
    )
    with open(os.open(ENV_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _unreadable(paths: Iterable[Path]) -> Iterator[str]:
    """A line for each path that is closed to the users of containers, who have numbers of their own."""
    for path in paths:
        if not path.stat().st_mode & (stat.S_IXOTH if path.is_dir() else stat.S_IROTH):
            yield f"{path}: expected it to be readable for everybody, as containers read it; chmod a+rX {path}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> int:
    verbs = {"prepare": prepare, "welcome": welcome}
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        sys.stderr.write(f"usage: stack.py {'|'.join(verbs)} [PROFILE ...]\n")
        return 2
    try:
        verbs[sys.argv[1]](sys.argv[2:])
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
