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
# Kamailio's default: contacts are pinged in the order of the table's slots.
_STOCK_PARAMETERS = {"usrloc.hash_size": 10}
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
    """Kamailio's own file. Raises ValueError if it is not as expected, since a comparison needs some edits."""
    text, missing = _edited(file.read_text(), options, folder)
    if missing:
        raise ValueError(f"{file}: expected lines that match {' and '.join(missing)}, found none")
    return _written("stock", text, folder)


def other(options: Options, folder: Path, file: Path) -> Configuration:
    """Another file for the same server, edited where it is like Kamailio's own."""
    return _written(file.stem, _edited(file.read_text(), options, folder)[0], folder)


def _written(name: str, text: str, folder: Path) -> Configuration:
    cfg = folder / f"{name}.cfg"
    cfg.write_text(text)
    return Configuration(name, cfg, ("WITH_MYSQL",))


def _edited(text: str, options: Options, folder: Path) -> tuple[str, list[str]]:
    """The text with only the edits that a comparison needs, and the patterns that were not found in it."""
    edits = {
        # One process per transport: what it sends comes in a certain order.
        r"^children=\d+": "children=1",
        # No MySQL is needed to compare routes.
        r'"db_mysql\.so"': '"db_sqlite.so"',
        r'"natping_interval", *\d+': f'"natping_interval", {options.natping}',
        r'"/etc/kamailio/tls\.cfg"': f'"{folder / TLS_CFG}"',
    }
    if options.nat_tests != STOCK_NAT_TESTS:
        edits[r'nat_uac_test\("19"\)'] = f'nat_uac_test("{options.nat_tests}")'
    for name, address in options.servers.items():
        edits[rf'^{re.escape(name)} = ""'] = f'{name} = "{address}"'
    missing = []
    for pattern, new in edits.items():
        text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
        if not count:
            missing.append(pattern)
    return with_parameters(text, options.parameters), missing


def ours(options: Options, folder: Path, boot: Path = BOOT_FILE) -> Configuration:
    """Our file and routes, told to be the stock configuration's equal (docs/stock-routes.md)."""
    source = product_file("kamailio.cfg")
    cfg = folder / "kemi.cfg"
    parameters = {**_STOCK_PARAMETERS, **options.parameters}
    cfg.write_text(with_parameters(source.read_text(), parameters))
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


def with_parameters(text: str, parameters: Mapping[str, int]) -> str:
    """The text of a configuration file with other module parameters."""
    for name, value in parameters.items():
        module, _, key = name.partition(".")
        text = re.sub(rf'^modparam\("{module}", *"{key}",.*\n', "", text, flags=re.MULTILINE)
        line = f'modparam("{module}", "{key}", {value})'
        text = re.sub(rf'^(loadmodule "{module}\.so")$', rf"\1\n{line}", text, flags=re.MULTILINE)
    return text
