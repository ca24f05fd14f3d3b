"""What a server of the cluster profile is told beyond a single one: who belongs to the cluster, and what it is."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import click
import yaml
from database_url import PASSWORD

ROUTES = Path("/routes")
_EDGE, _REGISTRAR = "edge", "registrar"
# A registrar whose database is silent is itself silent for three times DATABASE_TIMEOUT, 3 s: that is not its death.
_PATIENCE_MILLISECONDS = 5000


def _role() -> str:
    return os.environ.get("CLUSTER_ROLE", "")


def is_edge() -> bool:
    """An edge knows no users, so it needs no database."""
    return _role() == _EDGE


def texts(folder: Path) -> dict[str, str]:
    """Defines of kamailio.cfg with a text; the files that they name are written into `folder`."""
    if not _role():
        return {}
    registrars = _members()["registrars"]
    settings = _settings(folder)
    if is_edge():
        destinations = folder / "dispatcher.list"
        destinations.write_text("".join(f"1 sip:{address}:5060\n" for address in registrars))
        return {"KEMI_SETTINGS": str(settings), "DISPATCHER_LIST": str(destinations)}
    own = os.environ["LISTEN_ADDRESS"]
    peer = next(address for address in registrars if address != own)
    return {
        "KEMI_SETTINGS": str(settings),
        "DMQ_ADDRESS": f"sip:{own}:5060",
        "DMQ_PEER": f"sip:{peer}:5060",
        # The same for all registrars, and as secret as the database.
        "AUTH_SECRET": hashlib.sha256(f"nonces {PASSWORD.read_text()}".encode()).hexdigest(),
    }


def _members() -> dict[str, list[str]]:
    """The addresses of all edges and registrars, under the names that kemi.yaml has for them."""
    return {name: os.environ[f"CLUSTER_{name.upper()}"].split() for name in ("edges", "registrars")}


def _settings(folder: Path) -> Path:
    """The user's edge.yaml or registrar.yaml; without it a file in `folder` that says who belongs to the cluster.

    Raises ClickException when the user's says something else of that.
    """
    own = ROUTES / f"{_role()}.yaml"
    if not own.exists():
        made = folder / "kemi.yaml"
        told = {
            "cluster": {**_members(), "patience": _PATIENCE_MILLISECONDS},
            "metrics": {"allow": os.environ.get("PROMETHEUS", "").split()},
        }
        made.write_text(yaml.safe_dump(told))
        return made
    try:
        read = yaml.safe_load(own.read_text())
    except (yaml.YAMLError, UnicodeDecodeError):
        return own  # the server names the line
    section = read.get("cluster") if isinstance(read, dict) else None
    for name, addresses in _members().items():
        found = section.get(name) if isinstance(section, dict) else None
        if not isinstance(found, list) or set(map(str, found)) != set(addresses):
            raise click.ClickException(
                f"routes/{own.name}: cluster.{name}: expected [{', '.join(addresses)}], which docker-compose.yml makes "
                f"of PRIVATE_NETWORK in .env, found {found}"
            )
    return own


def edge_number() -> int:
    """0 for the first edge, and for all that is no edge."""
    return _members()["edges"].index(os.environ["PRIVATE_ADDRESS"]) if is_edge() else 0


def numbers() -> dict[str, str]:
    """Defines of kamailio.cfg with a number."""
    if _role() != _REGISTRAR:
        return {}
    registrars = _members()["registrars"]
    return {"SERVER_ID": str(registrars.index(os.environ["LISTEN_ADDRESS"]) + 1)}


def more_sockets() -> list[str]:
    """An edge listens to its registrars on the private network as well."""
    return ["-l", f"udp:{os.environ['PRIVATE_ADDRESS']}:5060"] if is_edge() else []
