"""What is known of KSR against a running Kamailio, and `kemi stubs --from-server`."""

from __future__ import annotations

import ast
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from kemi.cli.paths import PACKAGE
from kemi.cli.stubs import stubs
from kemi.stubs.exports import Export, exports
from kemi.stubs.results import CODE, result
from kemi.testing.client import Client
from kemi.testing.server import KamailioServer
from tests.parity.root import Root

_ARGUMENTS = {"uri": "sip:x@example.com", "level": "info", "text": "asked by a test"}

# Calls each function in questions.json beside it, and writes down of which type the answer is.
ASKING = """\
import json
from pathlib import Path

import KSR

from kemi.request import Request
from kemi.router import Router, Rule
from kemi.verdict import Reply, Verdict

FOLDER = Path(__file__).parent


class Routes(Router):
    def rules(self) -> tuple[Rule, ...]:
        return (self.ask,)

    def ask(self, request: Request) -> Verdict | None:
        answers = {}
        for name, arguments in json.loads((FOLDER / "questions.json").read_text()):
            function = KSR
            for part in name.split("."):
                function = getattr(function, part)
            answers[f"{name}{arguments}"] = type(function(*arguments)).__name__
        (FOLDER / "answers.json").write_text(json.dumps(answers))
        return Reply(200, "OK")
"""


class RootedServer(KamailioServer):
    """A server with the Kamailio of that root."""

    def __init__(self, folder: Path, root: Root) -> None:
        super().__init__(folder, defines=["WITH_NAT"], settings=folder / "kemi.yaml")
        self._root = root

    def command(self) -> list[str]:
        return self._root.command(super().command(), [self.folder, PACKAGE.parent])


@pytest.fixture(scope="module")
def server(root: Root, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KamailioServer]:
    # A short name: the paths of unix sockets are limited.
    folder = tmp_path_factory.mktemp("k")
    (folder / "asking.py").write_text(ASKING)
    (folder / "kemi.yaml").write_text("router: asking:Routes\n")
    # Asked by the OPTIONS that find out whether it is there.
    (folder / "questions.json").write_text("[]")
    with pytest.MonkeyPatch.context() as patch:
        # The answers of the RPC go to a socket of ours, which a Kamailio in a root sees in shared folders only.
        patch.setattr(tempfile, "tempdir", str(folder))
        with RootedServer(folder, root) as server:
            yield server


def test_the_stubs_of_a_server_have_its_functions_and_no_other(
    server: KamailioServer, tmp_path: Path
) -> None:
    folder = tmp_path / "typings"
    result = CliRunner().invoke(stubs, [str(folder), "--from-server", "--socket", str(server.rpc_socket)])
    assert result.exit_code == 0, result.output
    assert f"for the server at {server.rpc_socket}" in result.output
    listed = server.rpc("app_python.api_list")["methods"]
    known = exports(_version(server))
    exported = {_name(function) for function in map(_inner, listed)}
    assert exported <= set(known)
    assert _defined(folder) - {"x.modf"} == exported
    assert "registrar.lookup" in exported
    assert "presence.handle_subscribe" not in exported


def test_the_list_agrees_with_the_server_on_parameters_and_results(server: KamailioServer) -> None:
    known = exports(_version(server))
    for function in map(_inner, server.rpc("app_python.api_list")["methods"]):
        export = known[_name(function)]
        # Kamailio has no name for the type of a parameter of 64 bits, and lists nothing then.
        listed = None if "long" in export.params else ", ".join(export.params) or "none"
        assert function["params"] == listed, export.name
        assert export.returns == function["ret"], export.name


def test_what_a_function_gives_is_of_the_type_in_the_stubs(server: KamailioServer) -> None:
    known = exports(_version(server))
    listed = {_name(function) for function in map(_inner, server.rpc("app_python.api_list")["methods"])}
    questions = [
        (name, [_ARGUMENTS.get(parameter, value) for parameter in known[name].param_names])
        for name in sorted(listed)
        for value in ("$ru", "$avp(x)", "Contact", "x")
        if result(known[name]) != CODE and set(known[name].params) <= {"str"}
    ]
    (server.folder / "questions.json").write_text(json.dumps(questions))
    with Client(server) as client:
        assert client.ask("OPTIONS", server.uri).status == 200
    answers = json.loads((server.folder / "answers.json").read_text())
    wrong = {
        question: f"{found}, not {result(known[name])}"
        for name, arguments in questions
        for question, found in [(f"{name}{arguments}", answers[f"{name}{arguments}"])]
        if found.replace("NoneType", "None") not in _types(known[name])
    }
    assert wrong == {}
    assert len(answers) > 200


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    nobody = tmp_path / "nobody.sock"
    result = CliRunner().invoke(stubs, [str(tmp_path / "typings"), "--from-server", "--socket", str(nobody)])
    assert result.exit_code == 1
    assert f"{nobody}: app_python.api_list: No such file or directory" in result.output
    assert not (tmp_path / "typings").exists()


def _version(server: KamailioServer) -> str:
    found = re.search(r"\d+\.\d+", server.rpc("core.version"))
    assert found
    return found[0]


def _inner(method: dict[str, dict[str, str]]) -> dict[str, str]:
    return method["func"]


def _types(export: Export) -> list[str]:
    # What is declared to give nothing gives 0; the stubs say None, so that nobody uses it.
    return ["int"] if export.returns == "none" else result(export).split(" | ")


def _name(function: dict[str, str]) -> str:
    return f"{function['module']}.{function['name']}".lstrip(".")


def _defined(folder: Path) -> set[str]:
    return {
        node.name if path.stem == "__init__" else f"{path.stem}.{node.name}"
        for path in (folder / "KSR").glob("*.pyi")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
