"""What `make up` makes of .env before anything starts."""

from __future__ import annotations

import importlib
import stat
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from kemi.cli.paths import PACKAGE

RIGHT = {"ADVERTISED_ADDRESS": "192.0.2.7", "SIP_DOMAIN": "example.org", "DB_PASSWORD": "right"}


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PACKAGE.parent / "docker"))
    return importlib.import_module("checks")


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """The script, with an .env of its own."""
    monkeypatch.syspath_prepend(str(PACKAGE.parent / "docker"))
    module = importlib.import_module("stack")
    monkeypatch.setattr(module, "ENV_FILE", tmp_path / ".env")
    return module


def test_what_make_up_writes_at_first_is_right(checks: ModuleType, stack: ModuleType) -> None:
    stack._make_env_file()
    assert stat.S_IMODE(stack.ENV_FILE.stat().st_mode) == 0o600
    values = stack.read_values()
    profiles = {"phones", "monitor", "cluster"}
    assert checks.faults(values, checks.required(values, profiles)) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ADVERTISED_ADDRESS", "255.255.255.255", "expected the IPv4 address"),
        ("ADVERTISED_ADDRESS", "169.254.1.1", "expected the IPv4 address"),
        ("DB_PASSWORD", "money$maker", "expected a text without"),
        ("DB_ROOT_PASSWORD", "${HOME", "expected a text without"),
        ("PHONE_PASSWORD", "a;b", "expected a text without"),
        ("GRAFANA_PASSWORD", "a$b", "expected a text without"),
        ("KAMAILIO_MEMORY_MB", "64M", "expected a number above 0, found '64M'"),
        ("GRAFANA_PORT", "0", "expected a port, 1 to 65535"),
    ],
)
def test_a_value_that_cannot_work_is_named(checks: ModuleType, name: str, value: str, said: str) -> None:
    [fault] = checks.faults({**RIGHT, name: value})
    assert fault.startswith(f"{name}: {said}")
    assert ("PASSWORD" in name) != (value in fault), "a password is not shown"


@pytest.mark.parametrize("password", ["a!b#c;d=e%f>g", "é", "x" * 64])
def test_other_odd_passwords_are_right(checks: ModuleType, password: str) -> None:
    assert checks.faults({**RIGHT, "DB_PASSWORD": password}) == []


@pytest.mark.parametrize(
    ("values", "profiles", "missing"),
    [
        ({}, (), {"DB_ROOT_PASSWORD"}),
        ({"LOCAL_DATABASE": "0", "DB_HOST": "db.example.org"}, (), set()),
        ({}, ("phones", "monitor"), {"DB_ROOT_PASSWORD", "PHONE_PASSWORD", "GRAFANA_PASSWORD"}),
    ],
)
def test_no_password_is_empty_where_it_counts(
    checks: ModuleType, values: dict[str, str], profiles: tuple[str, ...], missing: set[str]
) -> None:
    values = RIGHT | values
    faults = checks.faults(values, checks.required(values, profiles))
    assert {fault.partition(":")[0] for fault in faults} == missing


def test_sip_and_tls_cannot_have_the_same_port(checks: ModuleType) -> None:
    [fault] = checks.faults({**RIGHT, "SIP_PORT": "5060", "TLS_PORT": "5060"})
    assert fault.startswith("TLS_PORT: expected another port than SIP_PORT's")


def test_values_are_those_that_compose_takes(stack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.ENV_FILE.write_text("SIP_PORT=6060\nTLS_PORT=\nexport DB_USER='me'\n# DB_NAME=x\nnonsense\n")
    monkeypatch.setenv("SIP_PORT", "7060")
    values = stack.read_values()
    found = (values["SIP_PORT"], values["TLS_PORT"], values["MEDIA_PORTS"], values["DB_USER"])
    assert found == ("7060", "5061", "35000-35059", "me")
    assert "DB_NAME" not in values


def test_an_env_file_that_is_no_text_is_named(stack: ModuleType) -> None:
    stack.ENV_FILE.write_bytes(b"SIP_DOMAIN=\xff\n")
    with pytest.raises(stack.StackError, match=r"\.env: expected UTF-8, found a byte 0xff"):
        stack.read_values()


def test_what_is_closed_to_containers_is_named(stack: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "routes.py").touch(mode=0o600)
    (tmp_path / "kemi.yaml").touch()
    (tmp_path / "kemi.yaml").chmod(0o644)
    [line] = stack._unreadable([tmp_path / "kemi.yaml", tmp_path / "routes.py"])
    assert f"{tmp_path / 'routes.py'}: expected it to be readable for everybody" in line
