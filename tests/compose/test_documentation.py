"""What README.md and docs/compose.md say of the stack, followed to the letter."""

from __future__ import annotations

import re

import pytest

from kemi.cli.paths import PACKAGE
from tests.compose.stack import Stack

_ROOT = PACKAGE.parent


def commands(document: str) -> list[str]:
    """The lines between the document's markers that are meant to be typed."""
    text = (_ROOT / document).read_text()
    block = text.partition("<!-- commands:begin -->")[2].partition("<!-- commands:end -->")[0]
    return [line.partition("#")[0].strip() for line in block.splitlines() if line.startswith("    ")]


@pytest.mark.parametrize("document", ["README.md", "docs/compose.md"])
def test_the_commands_work_one_after_the_other(stack: Stack, document: str) -> None:
    # Other tests may have added her.
    stack.sql("DELETE FROM subscriber WHERE username = 'alice'")
    typed = commands(document)
    assert typed[0] == "make up"
    for command in typed:
        said = stack.engine.output(["sh", "-c", command], folder=stack.folder, seconds=300)
        if command == "make up":
            assert f"Proxy       {stack.env['ADVERTISED_ADDRESS']}:5060 (UDP or TCP)" in said
    assert ["alice"] in stack.sql("SELECT username FROM subscriber")
    stack.address_clients()


def test_every_variable_of_the_stack_is_explained(stack: Stack) -> None:
    used = set(re.findall(r"\$\{(\w+)", (stack.folder / "docker-compose.yml").read_text()))
    explained = set(re.findall(r"`(\w+)", (_ROOT / "docs/compose.md").read_text()))
    cluster = {name for name in used if name.endswith("_2")} | {"SINGLE_SERVER"}
    expected = used - cluster - {"COMPOSE_PROJECT_NAME", "PHONES_CALL_EVERY"}
    assert expected <= explained, expected - explained
