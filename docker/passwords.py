"""The passwords of `.env` become files, which containers get as secrets; the database is told of new ones."""

from __future__ import annotations

from collections.abc import Mapping

import engine
from engine import ROOT, StackError

SECRETS = ROOT / "var" / "secrets"

# Which line of .env becomes which secret of docker-compose.yml.
FILES = {
    "DB_PASSWORD": "db_password",
    "DB_ROOT_PASSWORD": "db_root_password",
    "PHONE_PASSWORD": "phone_password",
    "GRAFANA_PASSWORD": "grafana_password",
}
_OF_DATABASE = ("DB_PASSWORD", "DB_ROOT_PASSWORD")

# There while containers may have a secret that is no longer in the files.
_STALE = SECRETS / ".stale"

# The server reads its password files when it makes the database, and never again.
_AS_ROOT = "MYSQL_PWD=$(cat /run/secrets/db_root_password) exec mariadb --no-defaults --user=root"


def store(values: Mapping[str, str]) -> None:
    """Write the files. Raises StackError where the database cannot be told."""
    SECRETS.mkdir(parents=True, exist_ok=True)
    # Nobody else enters the folder. The files themselves are mounted into containers, whose users have other numbers.
    SECRETS.chmod(0o700)
    before = {name: _stored(file) for name, file in FILES.items()}
    changed = [name for name in FILES if before[name] != values.get(name, "")]
    if values.get("LOCAL_DATABASE") != "0" and any(name in changed for name in _OF_DATABASE):
        _tell_database(values, known=before["DB_ROOT_PASSWORD"] is not None)
    if any(before[name] is not None for name in changed):
        _STALE.touch()
    for name in changed:
        path = SECRETS / FILES[name]
        # Anew: a container has the file that was there when it started.
        path.unlink(missing_ok=True)
        path.write_text(values.get(name, ""))
        path.chmod(0o444)
    if _STALE.exists():
        # Containers go on with the file they were started with, and compose does not look into it.
        engine.compose("rm", "--stop", "--force")
        _STALE.unlink()


def _stored(file: str) -> str | None:
    path = SECRETS / file
    return path.read_text() if path.exists() else None


def _tell_database(values: Mapping[str, str], *, known: bool) -> None:
    volume = f"{values.get('COMPOSE_PROJECT_NAME') or 'kemi'}_database"
    if not engine.has_volume(volume):
        return
    otherwise = f"or remove the database with all its users and registrations: `make down`, `docker volume rm {volume}`"
    if not known:
        raise StackError(
            f"the volume {volume} has a database whose passwords are not known here: expected those of its .env in "
            "var/secrets, found none; bring .env and var/secrets back, give this stack a COMPOSE_PROJECT_NAME of its "
            f"own if the volume is another clone's, {otherwise}"
        )
    user, password, root = (values[name] for name in ("DB_USER", "DB_PASSWORD", "DB_ROOT_PASSWORD"))
    statements = [
        f"ALTER USER '{user}'@'%' IDENTIFIED BY '{password}';",
        # Images differ in from where root may come.
        f"ALTER USER IF EXISTS 'root'@'%' IDENTIFIED BY '{root}';",
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{root}';",
    ]
    try:
        engine.compose("up", "--detach", "--wait", "database")
        engine.compose("exec", "--no-TTY", "database", "sh", "-c", _AS_ROOT, typed="\n".join(statements))
    except StackError as error:
        raise StackError(
            f"DB_PASSWORD, DB_ROOT_PASSWORD: the database could not be told the new passwords: {error}\n"
            f"Put the old ones back, {otherwise}"
        ) from None
