"""What stands behind the pytest fixtures: a fake or a real Kamailio as a test's options want it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kemi.cli.paths import kamailio_environment, product_file
from kemi.testing.fake_auth import NONCE
from kemi.testing.ksr import FakeKSR
from kemi.testing.loaded import modules_of
from kemi.testing.options import Options, cfg_text
from kemi.testing.process import ServerError
from kemi.testing.relay import Relay
from kemi.testing.server import KamailioServer, fits
from kemi.testing.servers import database

_HTABLE = re.compile(r'^modparam\("htable", *"htable", *"(\w+)=>', re.MULTILINE)
_QUEUE = re.compile(r'^modparam\("mqueue", *"mqueue", *"name=(\w+);(?:size=(\d+))?', re.MULTILINE)
_MODULE = re.compile(r'^loadmodule "(\w+)\.so"', re.MULTILINE)
_CUSTOM = re.compile(r"^(\w+\.\w+) *= *(\w+) desc", re.MULTILINE)

#: Debian's packages, by the Kamailio modules that are in them; all others are in "kamailio".
PACKAGES = {
    "app_python3": "kamailio-python3-modules",
    "db_mysql": "kamailio-mysql-modules",
    "db_sqlite": "kamailio-sqlite-modules",
    "jansson": "kamailio-json-modules",
    "presence": "kamailio-presence-modules",
    "presence_xml": "kamailio-presence-modules",
    "tls": "kamailio-tls-modules",
    "xhttp_prom": "kamailio-extra-modules",
}
_NEEDED = "kamailio kamailio-python3-modules kamailio-sqlite-modules python3-yaml"
_MISSING = re.compile(r"could not find module <(\w+)>")
_REFUSED = re.compile(r"kemi: not started: (.*)")


def fake_kamailio(options: Options) -> FakeKSR:
    """A fake that has loaded and declares what kamailio.cfg does, with these defines, values and users."""
    cfg = cfg_text(options.cfg or product_file("kamailio.cfg"))
    own_modules = _MODULE.findall(options.cfg.read_text()) if options.cfg else []
    fake = FakeKSR(
        options.version,
        modules=[*modules_of(options.version), *own_modules, *options.modules],
        defines={
            **dict.fromkeys(options.defines, ""),
            **{name: str(value) for name, value in options.values.items()},
        },
        own=options.own,
        htables=[*_HTABLE.findall(cfg), *options.htables],
        queues={name: int(size) if size else None for name, size in _QUEUE.findall(cfg)},
    )
    fake.custom = {name: str(options.values.get(define, "")) for name, define in _CUSTOM.findall(cfg)}
    fake.subscribers = dict(options.users)
    # So that a test may send credentials without being challenged first.
    fake.nonces.add(NONCE)
    return fake


@contextmanager
def real_kamailio(options: Options, folder: Path) -> Iterator[KamailioServer]:
    """A Kamailio on loopback, started; with WITH_NAT also a media relay, with users also a database (SQLite).

    Its files are in `folder`, or in one that goes at the end where the path of `folder` is too long for its sockets.

    Raises ServerError that says what to install, or shows the end of the log, when it does not start.
    """
    require_kamailio()
    values: dict[str, str | int | Path] = dict(options.values)
    with ExitStack() as stack:
        if not fits(folder):
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="kemi-")))
        relay = None
        if "WITH_NAT" in options.defines and not {"WITH_RTPENGINE", "RTPPROXY_SOCK"} & {
            *options.defines,
            *values,
        }:
            relay = Relay(folder)
            relay.start()
            # It has nothing to save, and a stop in good order takes it a second.
            stack.callback(relay.kill)
            values["RTPPROXY_SOCK"] = relay.control
        if options.users or "WITH_AUTH" in options.defines:
            values.setdefault("DBURL", database(folder / "kamailio.sqlite", options.users))
        server = KamailioServer(
            folder, defines=options.defines, values=values, settings=options.settings, cfg=options.cfg
        )
        server.relay = relay
        stack.callback(server.stop)
        try:
            server.start()
        except ServerError as problem:
            raise _explained(problem) from None
        yield server


def require_kamailio() -> None:
    """Raise ServerError unless there is a Kamailio to run."""
    path = kamailio_environment()["PATH"]
    if not shutil.which("kamailio", path=path):
        raise ServerError(
            "the fixture 'kamailio' runs a real Kamailio: expected the program kamailio, found none in "
            f"{path}; on Debian: apt install {_NEEDED}"
        )


def _explained(problem: ServerError) -> ServerError:
    """The same, with the remedy first where the log names one."""
    log = str(problem)
    if missing := _MISSING.search(log):
        package = PACKAGES.get(missing[1], "kamailio-extra-modules")
        return ServerError(f"Kamailio has no module {missing[1]}; on Debian: apt install {package}\n{log}")
    if refused := _REFUSED.search(log):
        return ServerError(f"these routes do not start: {refused[1]}\n{log}")
    return problem
