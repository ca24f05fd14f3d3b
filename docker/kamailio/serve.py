"""What the container runs: look at the environment, wait for the database, make its tables, become Kamailio.

Whatever cannot be used is named in the log, and the container ends; its restart policy tries again.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

import checks
import click
import cluster
from database_url import PASSWORD, database_url

from kemi.cli.database import DatabaseError, DatabaseUrl, connect
from kemi.cli.db import prepare

RUN = Path("/run/kamailio")
CFG = "/opt/kemi/kamailio.cfg"
CERTIFICATES = Path("/routes/tls")
_DATABASE_SECONDS = 120.0
_ASK_AGAIN_SECONDS = 1.0
_SAY_AGAIN_SECONDS = 10.0
# A container's process ids begin anew above this (pid_max).
_IDS = 32000
# Between the ids of two edges that start at the same time, as if they started so far apart.
_APART_SECONDS = 400


def say(line: str) -> None:
    sys.stderr.write(f"serve: {line}\n")


def require_environment() -> None:
    """Raise ClickException with what is wrong in .env."""
    password = PASSWORD.read_text() if PASSWORD.exists() else ""
    required = [name for name in checks.REQUIRED if name != "DB_PASSWORD" or not cluster.is_edge()]
    faults = checks.faults({**os.environ, "DB_PASSWORD": password}, required)
    if faults:
        raise click.ClickException("\n".join(f".env: {fault}" for fault in faults))


def await_database(url: str) -> None:
    """Return when the database answers. Raises DatabaseError, which names it, when it does not for two minutes."""
    end, say_next = time.monotonic() + _DATABASE_SECONDS, 0.0
    while True:
        try:
            with connect(url):
                return
        except DatabaseError as error:
            now = time.monotonic()
            # Waiting mends no wrong password; a new start reads the secret anew.
            if now > end or "Access denied" in error.message:
                raise
            if now > say_next:
                say(f"waiting for the database: {error.message}")
                say_next = now + _SAY_AGAIN_SECONDS
        time.sleep(_ASK_AGAIN_SECONDS)


def tls() -> str:
    """Write tls.cfg; its path. Without a certificate of the user's one is made that no phone will trust by itself."""
    certificate, key = CERTIFICATES / "cert.pem", CERTIFICATES / "key.pem"
    if not certificate.exists():
        certificate, key = RUN / "cert.pem", RUN / "key.pem"
        name = os.environ["SIP_DOMAIN"]
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]
        command += ["-days", "3650", "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        say(
            "TLS: self-signed certificate, made for this start; put cert.pem and key.pem into routes/tls/ for your own"
        )
    for file in (certificate, key):
        if not os.access(file, os.R_OK):
            raise click.ClickException(
                f"routes/tls/{file.name}: cannot be read by user {os.getuid()}; missing, or chmod a+r"
            )
    cfg = RUN / "tls.cfg"
    cfg.write_text(
        "[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n"
        f"private_key = {key}\ncertificate = {certificate}\n"
    )
    return str(cfg)


def prepare_database() -> str:
    """Wait for the database, make its tables and upgrade those of an older Kamailio; its DBURL."""
    url = database_url()
    await_database(url)
    say(f"{DatabaseUrl.parse(url)}: {prepare(url, upgrades=True)}")
    return url


def write_local_cfg(url: str) -> None:
    """The defines of kamailio.cfg, readable by Kamailio only: no password stands on its command line.

    An edge has no database; its `url` is "".
    """
    defines = ["WITH_MYSQL", "WITH_TLS", *os.environ["KAMAILIO_DEFINES"].split()]
    texts = {
        "KEMI_BOOT": "/opt/kemi/kemi/boot/kemi_boot.py",
        "KEMI_SETTINGS": "/routes/kemi.yaml",
        "RPC_SOCKET": str(RUN / "kamailio_rpc.sock"),
        "CTL_SOCKET": f"unixs:{RUN / 'kamailio_ctl'}",
        "RTPPROXY_SOCK": os.environ["RTPPROXY_SOCK"],
        "TLS_CFG": tls(),
        **({"DBURL": url} if url else {}),
        **cluster.texts(RUN),
    }
    numbers = {
        "USRLOC_DBMODE": os.environ["DB_MODE"],
        "CHILDREN": os.environ["KAMAILIO_WORKERS"],
        # Write-back has nobody wait for the database, and loses a second's registrations at most. Write-through leaves
        # to the timer what a database that was away has missed.
        "USRLOC_TIMER": "1" if os.environ["DB_MODE"] == "2" else "5",
        # The relay's container is back within seconds.
        "RTPPROXY_DISABLE_TOUT": "2",
    }
    numbers |= cluster.numbers()
    lines = [f"#!define {name}" for name in defines]
    lines += [f'#!define {name} "{text}"' for name, text in texts.items()]
    lines += [f"#!define {name} {number}" for name, number in numbers.items()]
    with open(os.open(RUN / "local.cfg", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("\n".join([*lines, ""]))


def command() -> list[str]:
    """Kamailio's command line: where it listens, and what it says of itself behind a NAT."""
    listen, advertised = os.environ["LISTEN_ADDRESS"], os.environ["ADVERTISED_ADDRESS"]
    words = ["kamailio", "-f", CFG, "-DD", "-E", "-m", os.environ["KAMAILIO_MEMORY_MB"], "-Y", str(RUN)]
    for transport, port, outside in (
        ("udp", 5060, "SIP_PORT"),
        ("tcp", 5060, "SIP_PORT"),
        ("tls", 5061, "TLS_PORT"),
    ):
        words += ["-l", f"{transport}:{listen}:{port}/{advertised}:{os.environ[outside]}"]
    return [*words, *cluster.more_sockets(), f"--alias={os.environ['SIP_DOMAIN']}"]


def use_other_process_ids() -> None:
    """Have Kamailio's processes get other ids than those of a start just before.

    In a container they would be the same at each start, and with them the cookies of Kamailio's questions to the relay
    (up to 6.0: process id and a counter from 0). RTPProxy answers a cookie that it has seen within the last 35 seconds
    from its memory: with ports of other calls, long gone. Nor may two edges that share a relay have the same ids.
    """
    kamailio_has = 3 * int(os.environ["KAMAILIO_WORKERS"]) + 24
    start = (int(time.time()) + cluster.edge_number() * _APART_SECONDS) % (_IDS // kamailio_has)
    library, thread = ctypes.CDLL(None), ctypes.c_ulong()
    for _ in range(start * kamailio_has):
        # A thread takes an id as a process does, and this one costs a hundredth of a millisecond.
        library.pthread_create(ctypes.byref(thread), None, library.sched_yield, None)
        library.pthread_join(thread, None)


def main() -> None:
    require_environment()
    write_local_cfg("" if cluster.is_edge() else prepare_database())
    use_other_process_ids()
    os.execvp("kamailio", command())


if __name__ == "__main__":
    try:
        main()
    except click.ClickException as error:
        for line in error.message.splitlines():
            say(line)
        sys.exit(1)
