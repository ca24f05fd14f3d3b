"""The settings file: what is right is read, what is wrong is named."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from kemi import features
from kemi.cli.settings import reference
from kemi.features import Features
from kemi.settings import Settings, profile
from kemi.settings_file import SettingsError, load, parse
from kemi.testing.ksr import FakeKSR
from kemi.testing.loaded import MODULES
from kemi.testing.plugin import using

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("text", ["", "# nothing\n", "nat:\n", "{}"])
def test_nothing_said_is_all_defaults(text: str) -> None:
    assert parse(text, "kemi.yaml") == Settings()


def test_no_file_is_all_defaults() -> None:
    assert load(None) == Settings()


def test_values_are_read() -> None:
    settings = parse(
        "router: my_routes:Routes\nnat: {tests: [contact, source]}\nmedia: {unavailable: pass}\n"
        "auth: {ban: {window: 60}}\nscreen: {scanners: []}\n",
        "kemi.yaml",
    )
    assert settings.router == "my_routes:Routes"
    assert settings.nat.bits == 1 + 32
    assert settings.media.unavailable == "pass"
    assert settings.auth.ban.window == 60
    assert settings.auth.ban.duration == Settings().auth.ban.duration
    assert settings.screen.scanners == ()


def test_the_stock_profile_is_where_other_keys_start_from() -> None:
    settings = parse("media: {prack: true}\nprofile: stock\n", "kemi.yaml")
    assert settings.media.prack
    assert settings.media.unavailable == "pass"
    assert settings.nat == profile("stock").nat


MISTAKES = [
    ("natt: {}", "kemi.yaml:1: natt: unknown key; did you mean 'nat'?"),
    (
        "nat:\n  tests: [contact, contcat]",
        "kemi.yaml:2: nat.tests: unknown test 'contcat'; did you mean 'contact'?",
    ),
    ("nat: {tests: contact}", "kemi.yaml:1: nat.tests: expected a list, found 'contact'; write [a, b]"),
    ("nat: [contact]", "kemi.yaml:1: nat: expected keys and values, found a list"),
    ("media: {prack: 1}", "kemi.yaml:1: media.prack: expected true or false, found '1'"),
    ("auth: {ban: {window: soon}}", "kemi.yaml:1: auth.ban.window: expected a whole number, found 'soon'"),
    ("auth: {ban: {window: true}}", "kemi.yaml:1: auth.ban.window: expected a whole number, found 'true'"),
    ("auth: {ban: {window: 0}}", "kemi.yaml:1: auth.ban.window: expected 1 or more, found 0"),
    ("screen: {max_forwards: 300}", "kemi.yaml:1: screen.max_forwards: expected 255 or less, found 300"),
    ("router: 5", "kemi.yaml:1: router: expected a text, found '5'"),
    ("router: [a]", "kemi.yaml:1: router: expected a text, found a list"),
    ("profile: stok", "kemi.yaml:1: profile: unknown value 'stok'; did you mean 'stock'?"),
    (
        "media: {unavailable: maybe}",
        "kemi.yaml:1: media.unavailable: unknown value 'maybe'; expected one of: pass, reject",
    ),
    (
        "log: {decisions: all}\nlog: {}",
        "kemi.yaml:2: log: expected each key once, found it again; remove one",
    ),
    ("[1, 2]", "kemi.yaml:1: (top): expected keys and values, found a list"),
    ("? [a]\n: b", "kemi.yaml:1: (top): expected a name as key, found a list"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[row[0].splitlines()[-1] for row in MISTAKES])
def test_a_mistake_is_named_with_file_line_key_expected_and_found(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text, "kemi.yaml")
    assert str(caught.value) == message


def test_what_is_not_yaml_is_named_with_its_line() -> None:
    with pytest.raises(SettingsError, match=r"kemi\.yaml: expected YAML, found: .*line 2"):
        parse("nat:\n\t- x", "kemi.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"kemi\.yaml: expected the settings file named by KEMI_SETTINGS, found no"
    ):
        load(tmp_path / "kemi.yaml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "kemi.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"expected a readable UTF-8 file"):
        load(tmp_path / "kemi.yaml")


def test_a_define_without_its_module_is_named(ksr: FakeKSR) -> None:
    ksr.defines = {"WITH_NAT": ""}
    ksr.modules -= {"nathelper"}
    with pytest.raises(SettingsError) as caught:
        features.read(Settings())
    assert str(caught.value) == (
        "kamailio.cfg: WITH_NAT: expected module 'nathelper' to be loaded, found that it is not; "
        'add: loadmodule "nathelper.so"'
    )


def test_bans_need_their_module(ksr: FakeKSR) -> None:
    ksr.defines = {"WITH_AUTH": ""}
    ksr.modules -= {"htable"}
    with pytest.raises(SettingsError, match=r"auth\.ban .*expected module 'htable' to be loaded"):
        features.read(Settings())
    assert features.read(profile("stock")).auth


def test_each_switch_is_read_from_its_define(ksr: FakeKSR) -> None:
    defines = {item.name: item.metadata["define"] for item in fields(Features) if "define" in item.metadata}
    for name, define in defines.items():
        ksr.defines = {define: ""}
        on = {other for other in defines if getattr(features.read(Settings()), other)}
        assert on == {name}


def test_what_newer_versions_do_is_found_out(ksr: FakeKSR) -> None:
    assert not features.read(Settings()).dialog_statistics
    assert not features.read(Settings()).record_route_refer


def test_what_newer_versions_do_is_found_there() -> None:
    with using(FakeKSR("6.0", modules=[*MODULES, "dlgs"])):
        assert features.read(Settings()).dialog_statistics
        assert features.read(Settings()).record_route_refer


@pytest.mark.parametrize("value", ['"/etc/kamailio/kemi.yaml"', "/etc/kamailio/kemi.yaml"])
def test_the_settings_file_is_named_by_a_define(ksr: FakeKSR, value: str) -> None:
    ksr.defines = {"KEMI_SETTINGS": value}
    assert features.settings_path() == Path("/etc/kamailio/kemi.yaml")


def test_without_the_define_there_is_no_settings_file(ksr: FakeKSR) -> None:
    ksr.defines = {}
    assert features.settings_path() is None


def test_the_reference_in_the_docs_is_the_code() -> None:
    _, _, rest = (DOCS / "settings.md").read_text(encoding="utf-8").partition("<!-- settings:begin -->\n")
    table, _, _ = rest.partition("<!-- settings:end -->")
    assert table == reference(), "run `kemi settings` and put its table into docs/settings.md"


def test_all_mistakes_are_named_at_once() -> None:
    text = "profil: stock\nauth:\n  ban:\n    failures_per_source: -1\nnat:\n  tests: [contcat]\nlog: yes\n"
    with pytest.raises(SettingsError) as caught:
        parse(text, "kemi.yaml")
    places = [line.split(": ")[:2] for line in str(caught.value).splitlines()]
    assert places == [
        ["kemi.yaml:1", "profil"],
        ["kemi.yaml:4", "auth.ban.failures_per_source"],
        ["kemi.yaml:6", "nat.tests"],
        ["kemi.yaml:7", "log"],
    ]
