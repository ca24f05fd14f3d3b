#!/usr/bin/env python3
"""The command `kemi` in this container: it knows the database, unless this is an edge, and the domain."""

from __future__ import annotations

import os

import cluster
from database_url import database_url

from kemi.cli.main import main

if not cluster.is_edge():
    os.environ.setdefault("KEMI_DB", database_url())
os.environ.setdefault("KEMI_DOMAIN", os.environ["SIP_DOMAIN"])
main()
