"""The DBURL of this container: its environment, and the password from the secret."""

from __future__ import annotations

import os
from pathlib import Path

PASSWORD = Path("/run/secrets/db_password")


def database_url() -> str:
    """As in kamailio.cfg."""
    host = f"{os.environ['DB_HOST']}:{os.environ['DB_PORT']}"
    return f"mysql://{os.environ['DB_USER']}:{PASSWORD.read_text()}@{host}/{os.environ['DB_NAME']}"
