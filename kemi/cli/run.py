"""`kemi run`: Kamailio and the media relay in the foreground, ready for a phone."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from kemi.cli import probe
from kemi.cli.check import require_correct
from kemi.cli.database import DatabaseUrl, connect, default_url
from kemi.cli.db import prepare, url_option
from kemi.cli.network import outgoing_address, require_free
from kemi.cli.paths import BOOT_FILE, kamailio_environment, product_file, state_folder
from kemi.cli.processes import Server, Servers, Stopped
from kemi.cli.relay import relay_command
from kemi.cli.subscribers import Subscribers

DEFINES = ("WITH_NAT", "WITH_AUTH", "WITH_AUTH_CACHE", "WITH_USRLOCDB", "WITH_ANTIFLOOD")
# A MySQL server has restarts and a network of its own; phones and calls shall not notice them.
MYSQL_DEFINES = ("WITH_MYSQL", "WITH_DATABASE_MAY_FAIL")
# For each process, and real memory only where it is used. Kamailio's 8 MB are not enough to read back 5,000 contacts
# from SQLite; these are for as many as fit into its shared memory.
_PRIVATE_MEGABYTES = 64
_READY_SECONDS = 20.0
_LONGEST_SOCKET_PATH = 106  # what module jsonrpcs takes: one less than sun_path of unix(7) holds


@dataclass(frozen=True)
class Site:
    """Where and how one server runs."""

    address: str
    domain: str
    port: int
    database: str
    control: str
    media_ports: str
    cfg: Path
    settings: Path | None
    state: Path
    defines: tuple[str, ...]

    @property
    def rpc_socket(self) -> Path:
        return self.state / "run" / "kamailio_rpc.sock"

    def kamailio_command(self, binary: str) -> list[str]:
        command = [binary, "-f", str(self.cfg), "-DD", "-E", "-Y", str(self.state / "run")]
        command += ["-M", str(_PRIVATE_MEGABYTES)]
        for transport in ("udp", "tcp"):
            command += ["-l", f"{transport}:{self.address}:{self.port}"]
        command.append(f"--alias={self.domain}")
        strings = {
            "DBURL": self.database,
            "KEMI_BOOT": BOOT_FILE,
            "RPC_SOCKET": self.rpc_socket,
            "CTL_SOCKET": f"unixs:{self.state / 'run' / 'kamailio_ctl'}",
            "RTPPROXY_SOCK": self.control,
        }
        if self.settings:
            strings["KEMI_SETTINGS"] = self.settings
        mysql = MYSQL_DEFINES if DatabaseUrl.parse(self.database).engine == "mysql" else ()
        for define in (*DEFINES, *mysql, *self.defines):
            command += ["-A", define]
        for name, value in strings.items():
            command += ["-A", f'{name}="{value}"']
        return command

    def check(self) -> None:
        """Find before the start what would fail in the middle of it."""
        for transport in probe.TRANSPORTS:
            require_free(transport, self.address, self.port)
        host, _, port = self.control.removeprefix("udp:").rpartition(":")
        require_free("udp", host, int(port))
        if len(str(self.rpc_socket)) > _LONGEST_SOCKET_PATH:
            raise click.ClickException(
                f"{self.rpc_socket}: too long for a unix socket; choose a shorter --state"
            )

    def answers(self) -> bool:
        """Whether it answers over every transport."""
        uri = f"sip:{self.domain}"
        return all(probe.answers(transport, self.address, self.port, uri) for transport in probe.TRANSPORTS)


def _udp_control(_context: click.Context, _option: click.Parameter, value: str) -> str:
    host, _, port = value.removeprefix("udp:").rpartition(":")
    if not (value.startswith("udp:") and host and port.isdigit()):
        raise click.BadParameter(f"expected udp:HOST:PORT, found '{value}'")
    return value


@click.command()
@click.option(
    "--address", default=outgoing_address, help="Address of this machine. Default: by routing table."
)
@click.option("--domain", envvar="KEMI_DOMAIN", help="SIP domain and digest realm. Default: the address.")
@click.option(
    "--port", default=5060, show_default=True, type=click.IntRange(1, 65535), help="SIP, UDP and TCP."
)
@url_option
@click.option(
    "--control",
    default="udp:127.0.0.1:7722",
    show_default=True,
    callback=_udp_control,
    help="Control socket of the relay.",
)
@click.option("--media-ports", default="35000-65000", show_default=True, help="UDP ports of the relay.")
@click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A kamailio.cfg."
)
@click.option(
    "--settings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A kemi.yaml. Default: the one in the current folder, if there is one.",
)
@click.option(
    "--state", default=state_folder, type=click.Path(path_type=Path), help="Folder of logs and sockets."
)
@click.option(
    "--define", "-A", "defines", multiple=True, metavar="WITH_...", help="Another switch of kamailio.cfg."
)
@click.option("--force", is_flag=True, help="Start also with what `kemi check` finds wrong.")
def run(
    address: str,
    domain: str | None,
    port: int,
    url: str,
    control: str,
    media_ports: str,
    config: Path | None,
    settings: Path | None,
    state: Path,
    defines: tuple[str, ...],
    force: bool,
) -> None:
    """Run Kamailio and the media relay on this machine until Ctrl-C.

    Serves the routes that the settings name, after `kemi check` of both.
    """
    if settings is None and Path("kemi.yaml").exists():
        settings = Path("kemi.yaml")
    site = Site(
        address=address,
        domain=domain or address,
        port=port,
        database=url,
        control=control,
        media_ports=media_ports,
        cfg=(config or product_file("kamailio.cfg")).resolve(),
        settings=settings.resolve() if settings else None,
        state=state.resolve(),
        defines=defines,
    )
    kamailio = shutil.which("kamailio", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not kamailio:
        raise click.ClickException(
            "no kamailio on this machine; `make run` installs it, or apt install kamailio"
        )
    if settings and not force:
        require_correct(settings, "not started; mend what is above, or start it as it is with --force")
    site.check()
    prepare(url)
    for folder in (site.state / "run", site.state / "log"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.ClickException(
                f"--state {state}: cannot create {folder}: {error.strerror}"
            ) from error
    with contextlib.suppress(Stopped), Servers() as servers:
        _start(site, kamailio, servers)
        Console().print(_welcome(site))
        servers.wait()
    click.echo("stopped")


def _start(site: Site, kamailio: str, servers: Servers) -> None:
    logs = site.state / "log"
    command = relay_command(site.control, site.address, site.media_ports)
    relay = Server("relay", command, site.state, logs / "rtpproxy.log")
    servers.start(relay, lambda: "rtpproxy: ready" in relay.output, "answer", _READY_SECONDS)
    server = Server(
        "kamailio",
        site.kamailio_command(kamailio),
        site.cfg.parent,
        logs / "kamailio.log",
        environment=kamailio_environment(),
    )
    servers.start(server, site.answers, "answer to an OPTIONS over UDP and TCP", _READY_SECONDS)


def _welcome(site: Site) -> Panel:
    with connect(site.database) as database:
        users = [f"{name}@{domain}" for name, domain in Subscribers(database).all()]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    rows = {
        "Domain": site.domain,
        "Proxy": f"{site.address}:{site.port}",
        "Transport": "UDP or TCP",
        "Users": ", ".join(users[:5]) + (f" and {len(users) - 5} more" if users[5:] else "") or "none yet",
        "Add a user": _add_user(site),
        "Settings": str(site.settings or "built-in defaults (no kemi.yaml)"),
        "New routes": f"{_kemi()} reload"
        + ("" if site.state == state_folder() else f" --socket {site.rpc_socket}"),
        "Logs": f"{site.state / 'log'}/kamailio.log, rtpproxy.log",
        "Stop": "Ctrl-C",
    }
    for name, value in rows.items():
        grid.add_row(name, value)
    return Panel(grid, title="Plug in a phone", title_align="left", border_style="green", expand=False)


def _add_user(site: Site) -> str:
    command, verb = f"{_kemi()} user add alice", "make user NAME=alice"
    if site.domain != outgoing_address():
        command, verb = f"{command} --domain {site.domain}", f"{verb} DOMAIN={site.domain}"
    if site.database != default_url():
        return f"{command} --db DBURL, the same as here"
    return f"{verb}, or {command}"


def _kemi() -> str:
    """What to type for `kemi` here: in a clone it is not on the PATH."""
    if shutil.which("kemi"):
        return "kemi"
    program = Path(sys.argv[0]).absolute()
    return str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)
