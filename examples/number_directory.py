"""Telephone numbers of users, looked up in a database of one's own: each process has its own connection."""

import sqlite3
from pathlib import Path

from kemi.request import Request
from kemi.router import Router, Rule
from kemi.verdict import Verdict

# create table numbers (number text primary key, user text not null);
QUERY = "select user from numbers where number = ?"


class Routes(Router):
    database = Path("/var/lib/kamailio/numbers.sqlite")
    domain = "example.com"

    def start(self, rank: int) -> None:
        super().start(rank)
        if rank > 0:
            # After the fork: a connection that two processes share breaks. A missing file stops the start.
            self.numbers = sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True, timeout=1)
            self.numbers.execute(QUERY, ("",))

    def rules(self) -> tuple[Rule, ...]:
        rules = list(super().rules())
        rules.insert(rules.index(self.to_pstn), self.to_user_of_number)
        return tuple(rules)

    def to_user_of_number(self, request: Request) -> Verdict | None:
        """The rules after this one see the user, as if the caller had dialled that."""
        found = self.numbers.execute(QUERY, (request.uri_user,)).fetchone()
        if found:
            request.set_uri(f"sip:{found[0]}@{self.domain}")
        return None
