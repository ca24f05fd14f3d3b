"""Takes the pictures of terminals in docs/screens: real commands on a real server (`make docs-screens`).

Each is a fragment of HTML, so that on a phone it is text that can be scrolled and selected.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from kemi.cli.paths import product_file
from kemi.testing import Client, KamailioServer
from kemi.testing.dialog import call, hang_up
from kemi.testing.relay import Relay

SCREENS = Path(__file__).parent / "screens"
EXAMPLES = Path("/usr/share/doc/kamailio/examples/kemi")
WIDTH = 86
FOLDER = "/srv/my-routes"  # shown instead of a folder of this machine

ROUTES = """\
from kemi.request import Request
from kemi.router import Router
from kemi.verdict import Reply, Verdict


class Routes(Router):
    def to_registered_contacts(self, request: Request) -> Verdict | None:
        if request.uri_user.startswith("0900"):
            return Reply(403, "No premium numbers")
        return super().to_registered_contacts(request)
"""


def kemi(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command in a folder, as if a terminal were there."""
    environment = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
    command = [sys.executable, "-c", "from kemi.cli.main import main; main()", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def keep(name: str, process: subprocess.Popen[str], command: str, folder: Path, begun: str = "") -> None:
    """Write what it prints to docs/screens/NAME.html, after the lines that were read already."""
    output, _ = process.communicate(timeout=120)
    lines = (begun + output).replace(str(folder), FOLDER).splitlines()
    text = Text.from_ansi("\n".join([f"$ {command}", *(line.rstrip() for line in lines)]))
    console = Console(record=True, width=240, file=io.StringIO())
    console.print(text, no_wrap=True)
    html = console.export_html(inline_styles=True, code_format="{code}")
    html = "\n".join(line.rstrip() for line in html.splitlines())
    (SCREENS / f"{name}.html").write_text(html.rstrip() + "\n", encoding="utf-8")


def main() -> None:
    """Play the scenes."""
    SCREENS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "routes.py").write_text(ROUTES, encoding="utf-8")
        (folder / "kemi.yaml").write_text("router: routes:Routes\n", encoding="utf-8")
        for file in ("kamailio-basic-kemi.cfg", "kamailio-basic-kemi-python.py"):
            (folder / file).write_text((EXAMPLES / file).read_text(encoding="utf-8"), encoding="utf-8")
        check = kemi(folder, "check", "kamailio-basic-kemi-python.py", "--kamailio", "5.6")
        keep("example-check", check, "kemi check kamailio-basic-kemi-python.py", folder)
        (folder / "relay").mkdir()
        with Relay(folder / "relay") as relay:
            _serve(folder, relay)


def _serve(folder: Path, relay: Relay) -> None:
    server = KamailioServer(
        folder / "k",
        defines=["WITH_NAT"],
        values={"CHILDREN": 2, "RTPPROXY_SOCK": relay.control},
        settings=folder / "kemi.yaml",
        cfg=product_file("kamailio.cfg"),
    )
    with server:
        socket = ("--socket", str(folder / "k" / "run" / "kamailio_rpc.sock"))
        alice = _phone(server, "alice", "192.168.1.10")
        bob = _phone(server, "bob", "10.0.0.7")
        dialogs = call(alice, bob)
        keep("status", kemi(folder, "status", *socket), "kemi status", folder)
        hang_up(*dialogs)
        process = kemi(folder, "trace", *socket, "--seconds", "30")
        assert process.stdout is not None
        begun = process.stdout.readline()
        dialogs = call(alice, bob)
        keep("trace", process, "kemi trace", folder, begun)
        hang_up(*dialogs)


def _phone(server: KamailioServer, user: str, private: str) -> Client:
    phone = server.client(user, contact_host=private, contact_port=5060)
    phone.register()
    return phone


if __name__ == "__main__":
    main()
