"""The users that may register and call: rows of Kamailio's table `subscriber`."""

from __future__ import annotations

import hashlib
import re
import secrets
import string

from kemi.cli.database import Database, DatabaseError

# What RFC 3261, section 25.1 allows in the user part of a SIP URI, escapes left out.
_USER = re.compile(r"[A-Za-z0-9_.!~*'()&=+$,;?/-]{1,64}")
# No letters that are mistaken for one another when a password is typed into a phone.
_ALPHABET = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI")))


def ha1(user: str, realm: str, password: str) -> str:
    """H(A1) of digest authentication (RFC 2617, section 3.2.2.2), stored instead of the password."""
    return hashlib.md5(f"{user}:{realm}:{password}".encode(), usedforsecurity=False).hexdigest()


def new_password() -> str:
    """Sixteen characters, 93 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


class Subscribers:
    """Add, list, change and remove users. The digest realm is the domain, as in the stock configuration."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, user: str, domain: str, password: str) -> None:
        """Store a new user. Raises DatabaseError when the name cannot be one, or is taken."""
        if not _USER.fullmatch(user):
            raise DatabaseError(
                f"user '{user}': expected 1 to 64 letters, digits or any of _.!~*'()&=+$,;?/- "
                "(RFC 3261, section 25.1)"
            )
        if self._exists(user, domain):
            raise DatabaseError(
                f"user {user}@{domain} exists already; `kemi user passwd {user}` changes the password"
            )
        self._database.execute(
            "INSERT INTO subscriber (username, domain, password, ha1, ha1b) VALUES (?, ?, '', ?, ?)",
            user,
            domain,
            *self._hashes(user, domain, password),
        )

    def change_password(self, user: str, domain: str, password: str) -> None:
        self._require(user, domain)
        self._database.execute(
            "UPDATE subscriber SET password = '', ha1 = ?, ha1b = ? WHERE username = ? AND domain = ?",
            *self._hashes(user, domain, password),
            user,
            domain,
        )

    def remove(self, user: str, domain: str) -> None:
        self._require(user, domain)
        self._database.execute("DELETE FROM subscriber WHERE username = ? AND domain = ?", user, domain)

    def all(self) -> list[tuple[str, str]]:
        """User and domain of everyone, sorted."""
        rows = self._database.rows("SELECT username, domain FROM subscriber ORDER BY domain, username")
        return [(str(user), str(domain)) for user, domain in rows]

    def _hashes(self, user: str, domain: str, password: str) -> tuple[str, str]:
        """HA1, and HA1B for phones that put user@domain into the digest's username."""
        if not password:
            raise DatabaseError(f"user {user}: the password is empty")
        return ha1(user, domain, password), ha1(f"{user}@{domain}", domain, password)

    def _exists(self, user: str, domain: str) -> bool:
        found = "SELECT 1 FROM subscriber WHERE username = ? AND domain = ?"
        return bool(self._database.rows(found, user, domain))

    def _require(self, user: str, domain: str) -> None:
        if not self._exists(user, domain):
            others = ", ".join(f"{name}@{where}" for name, where in self.all()[:10]) or "nobody"
            raise DatabaseError(f"no user {user}@{domain}; there is {others}. Is --domain right?")
