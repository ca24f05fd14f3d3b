"""Many workers write to one SQLite file: each waits for the others, and no registration is refused."""

from __future__ import annotations

import socket
import sqlite3
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from bench.messages import DOMAIN, request
from kemi.cli.db import prepare
from kemi.testing.server import KamailioServer

PHONES, REGISTRATIONS_EACH = 8, 25


def test_registrations_at_the_same_time_are_all_stored(tmp_path: Path) -> None:
    database = tmp_path / "kemi.sqlite"
    prepare(f"sqlite:///{database}")
    values: dict[str, str | int | Path] = {
        "DBURL": f"sqlite:///{database}",
        "CHILDREN": 4,
        "NATPING_INTERVAL": 0,
    }
    with ExitStack() as stack:
        server = stack.enter_context(
            KamailioServer(tmp_path / "server", defines=("WITH_USRLOCDB",), values=values)
        )
        phones = [
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(PHONES)
        ]
        for phone in phones:
            phone.settimeout(5)
            phone.connect((server.address, server.port))
        answers: Counter[bytes] = Counter()
        for turn in range(REGISTRATIONS_EACH):
            for number, phone in enumerate(phones):
                unique = turn * PHONES + number
                phone.send(request("REGISTER", f"sip:{DOMAIN}", unique, user=f"user{unique}"))
            answers.update(phone.recv(65535).split(b"\r\n")[0] for phone in phones)
    assert answers == {b"SIP/2.0 200 OK": PHONES * REGISTRATIONS_EACH}
    with sqlite3.connect(database) as rows:
        assert rows.execute("SELECT count(DISTINCT username) FROM location").fetchone() == (
            PHONES * REGISTRATIONS_EACH,
        )
