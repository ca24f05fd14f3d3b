"""K702: calls that keep a worker waiting while messages queue up behind it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from kemi.check.finding import Finding
from kemi.check.message_path import functions
from kemi.check.project import Project

_VERBS = ("delete", "get", "head", "options", "patch", "post", "put", "request")
# Name to whether an argument `timeout` makes it harmless enough.
BLOCKING = {
    "time.sleep": False,
    "urllib.request.urlopen": False,
    "socket.gethostbyname": False,
    "socket.getaddrinfo": False,
    "socket.create_connection": False,
    "smtplib.SMTP": False,
    "os.system": False,
    "os.popen": False,
    "subprocess.getoutput": False,
    **dict.fromkeys((f"subprocess.{verb}" for verb in ("run", "call", "check_call", "check_output")), True),
    **dict.fromkeys((f"requests.{verb}" for verb in _VERBS), False),
    **dict.fromkeys((f"httpx.{verb}" for verb in _VERBS), False),
}


def check(project: Project) -> Iterator[Finding]:
    """Every such call in a callback, a rule, or what these call."""
    for source, function in functions(project):
        for node in ast.walk(function):
            name = source.scopes.imported(node.func) if isinstance(node, ast.Call) else None
            if (
                name not in BLOCKING
                or not isinstance(node, ast.Call)
                or source.scopes.function(node) is not function
            ):
                continue
            if BLOCKING[name] and any(keyword.arg == "timeout" for keyword in node.keywords):
                continue
            yield source.finding(
                node,
                "K702",
                f"{name}() in {function.name}(), while a message waits",
                "a worker handles one message at a time: a few slow answers, and the server is deaf",
                "hand the work to a process that handles no SIP (modules mqueue and rtimer; under kemi: kemi.queues)",
            )
