"""The configurations that are compared: Kamailio's own, ours, or any other file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kemi.cli.paths import BOOT_FILE, product_file
from tests.parity.network import PSTN_GATEWAY, SIP_PORT, VOICEMAIL

STOCK = Path("/etc/kamailio/kamailio.cfg")
STOCK_NAT_TESTS = 19
#: The name of the TLS settings beside the configuration file.
TLS_CFG = "tls.cfg"
_SERVER_DEFINES = {"pstn.gw_ip": "PSTN_GW_IP", "voicemail.srv_ip": "VOICEMAIL_IP"}
_TEST_NAMES = ("contact", "via_source", "via", "sdp", "source_port", "source")


@dataclass(frozen=True)
class Options:
    """What a configuration has to be run with; the same for all that are compared."""

    defines: tuple[str, ...] = ()
    port: int = SIP_PORT
    #: The argument of nat_uac_test.
    nat_tests: int = STOCK_NAT_TESTS
    #: Seconds between two keepalives to a contact; 0 for none.
    natping: int = 0
    #: Parameters of modules, as "tm.retr_timer1": a value that replaces the file's, or is added.
    parameters: Mapping[str, int] = field(default_factory=dict)

    @property
    def with_tls(self) -> bool:
        return "WITH_TLS" in self.defines

    @property
    def servers(self) -> dict[str, str]:
        """Addresses that the stock file has its user fill in, by the names of its custom parameters."""
        known = {"WITH_PSTN": ("pstn.gw_ip", PSTN_GATEWAY), "WITH_VOICEMAIL": ("voicemail.srv_ip", VOICEMAIL)}
        return dict(known[define] for define in self.defines if define in known)

    @property
    def with_nat(self) -> bool:
        return "WITH_NAT" in self.defines


@dataclass(frozen=True)
class Configuration:
    """A file ready to run, and what it needs on the command line beyond what all have."""

    name: str
    cfg: Path
    arguments: tuple[str, ...] = ()


def stock(options: Options, folder: Path, file: Path = STOCK) -> Configuration:
    """Kamailio's own file, or another like it. Only what a comparison needs is edited."""
    text = file.read_text()
    # One process per transport: what it sends comes in a certain order.
    text = _replaced(text, r"^children=\d+", "children=1", file)
    # No MySQL is needed to compare routes.
    text = _replaced(text, r'"db_mysql\.so"', '"db_sqlite.so"', file)
    text = _replaced(text, r'"natping_interval", *\d+', f'"natping_interval", {options.natping}', file)
    if options.nat_tests != STOCK_NAT_TESTS:
        text = _replaced(text, r'nat_uac_test\("19"\)', f'nat_uac_test("{options.nat_tests}")', file)
    for name, address in options.servers.items():
        text = _replaced(text, rf'^{re.escape(name)} = ""', f'{name} = "{address}"', file)
    text = text.replace('"/etc/kamailio/tls.cfg"', f'"{folder / TLS_CFG}"')
    cfg = folder / "stock.cfg"
    cfg.write_text(with_parameters(text, options.parameters, file))
    return Configuration("stock" if file == STOCK else file.name, cfg, ("WITH_MYSQL",))


def ours(options: Options, folder: Path, boot: Path = BOOT_FILE) -> Configuration:
    """Our file and routes, told to be the stock configuration's equal (docs/stock-routes.md)."""
    source = product_file("kamailio.cfg")
    cfg = folder / "kemi.cfg"
    cfg.write_text(with_parameters(source.read_text(), options.parameters, source))
    tests = [name for bit, name in enumerate(_TEST_NAMES) if options.nat_tests >> bit & 1]
    settings = folder / "kemi.yaml"
    settings.write_text(f"profile: stock\nnat:\n  tests: [{', '.join(tests)}]\n")
    defines = (
        "WITH_SERVER_VERSION",
        "WITH_CLEARTEXT",
        "USRLOC_DBMODE=2",
        "CHILDREN=1",
        f"NATPING_INTERVAL={options.natping}",
        *(f'{_SERVER_DEFINES[name]}="{address}"' for name, address in options.servers.items()),
        f'TLS_CFG="{folder / TLS_CFG}"',
        f'KEMI_BOOT="{boot}"',
        f'KEMI_SETTINGS="{settings}"',
    )
    return Configuration("ours", cfg, defines)


def with_parameters(text: str, parameters: Mapping[str, int], file: Path) -> str:
    """The text of a configuration file with other module parameters."""
    for name, value in parameters.items():
        module, _, key = name.partition(".")
        text = re.sub(rf'^modparam\("{module}", *"{key}",.*\n', "", text, flags=re.MULTILINE)
        line = f'modparam("{module}", "{key}", {value})'
        text = _replaced(text, rf'^(loadmodule "{module}\.so")$', rf"\1\n{line}", file)
    return text


def _replaced(text: str, pattern: str, new: str, file: Path) -> str:
    text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
    if not count:
        raise ValueError(f"{file}: expected a line that matches {pattern!r}, found none; edit it to have one")
    return text
