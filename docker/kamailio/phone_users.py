"""The users of the two phones in profile `phones`, with the password that .env has for them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from database_url import database_url

from kemi.cli.database import connect
from kemi.cli.subscribers import Subscribers

password = Path("/run/secrets/phone_password").read_text()
domain = os.environ["SIP_DOMAIN"]
with connect(database_url()) as database:
    subscribers = Subscribers(database)
    there = subscribers.all()
    for name in ("demo-alice", "demo-bob"):
        store = subscribers.change_password if (name, domain) in there else subscribers.add
        store(name, domain, password)
        sys.stdout.write(f"{name}@{domain} may register\n")
