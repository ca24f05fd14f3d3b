"""K703, K704: what is done while the file is loaded, before Kamailio forks and before there is a message."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from kemi.check import handler
from kemi.check.finding import Finding
from kemi.check.project import Project, methods
from kemi.check.scopes import Function
from kemi.check.source import Source

_CONNECTIONS = {
    "socket.socket": "a socket",
    "socket.create_connection": "a connection",
    "sqlite3.connect": "a connection",
    "pymysql.connect": "a connection",
    "MySQLdb.connect": "a connection",
    "mysql.connector.connect": "a connection",
    "psycopg.connect": "a connection",
    "psycopg2.connect": "a connection",
    "smtplib.SMTP": "a connection",
    "threading.Thread": "a thread",
    "threading.Timer": "a thread",
    "multiprocessing.Process": "a process",
    "subprocess.Popen": "a process",
}
# Families whose functions read or change the message at hand.
_FAMILIES = re.compile(
    r"auth|auth_db|hdr|maxfwd|nathelper|path|permissions|pike|registrar|rr|rtpengine|rtpproxy|sanity|siputils|sl"
    r"|textopsx?|tmx?"
)
_CORE = re.compile(
    r"is_(method|method_in|myself_\w+|[A-Z]+|IPv4|IPv6)"
    r"|(is|set|reset)b?flag(set)?|(is|re)setdsturi|isdsturiset|set(uri|user|host|dsturi)"
    r"|add_local_rport|add_tcp_alias|force_rport|forward|set_drop|set_(forward|reply)_no_connect"
)
_VARIABLES = re.compile(
    r"\$\(?(a[durU]|c[iilst]|d[dsu]|f[dntuU]|hdr\(|m[bt]|r[bdmprsuUv]|rr|s[ip]|t[dntuU]|ua)\b"
)


def check(project: Project) -> Iterator[Finding]:
    """Both, for every file."""
    found = handler.find(project)
    for source in project.sources.values():
        early = [methods(cls) for cls in project.router_classes(source)]
        if found and found.source is source:
            early.append(methods(found.node))
        early.append({node.name: node for node in source.tree.body if isinstance(node, Function)})
        before_fork = [own[name] for own in early for name in ("__init__", "mod_init") if name in own]
        later = [own[name] for own in early[:-1] for name in ("start", "child_init") if name in own]
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and not _is_for_a_terminal(source, node):
                function = _runs_in(source, node)
                if function is None or function in before_fork:
                    yield from _connection(source, node)
                if function is None or function in before_fork or function in later:
                    yield from _message(source, node)


def _runs_in(source: Source, node: ast.AST) -> ast.AST | None:
    """The function that must be called for this to happen; None at the level of the module or a class."""
    return next(
        (outer for outer in source.scopes.around(node) if isinstance(outer, Function | ast.Lambda)), None
    )


def _is_for_a_terminal(source: Source, node: ast.AST) -> bool:
    tests = (outer.test for outer in source.scopes.around(node) if isinstance(outer, ast.If))
    return any("__main__" in ast.unparse(test) for test in tests)


def _connection(source: Source, node: ast.Call) -> Iterator[Finding]:
    name = source.scopes.imported(node.func)
    kind = _CONNECTIONS.get(name or "")
    if kind is not None:
        yield source.finding(
            node,
            "K703",
            f"{name}() makes {kind} before Kamailio forks",
            "all worker processes would share one connection and mix up what is said on it; threads and children do "
            "not survive the fork",
            "make it in child_init(self, rank) (kemi: Router.start), once for each process",
        )


def _message(source: Source, node: ast.Call) -> Iterator[Finding]:
    name = source.scopes.ksr(node.func) or ""
    family = name.partition(".")[0] if "." in name else ""
    needs = (_FAMILIES if family else _CORE).fullmatch(family or name) is not None
    if family == "pv" and node.args:
        value = source.scopes.value(node.args[0])
        needs = isinstance(value, ast.Constant) and _VARIABLES.match(str(value.value)) is not None
    if needs:
        yield source.finding(
            node,
            "K704",
            f"KSR.{name}() is called where there is no message",
            "while the file is loaded and in child_init() Kamailio has none at hand: it answers for a made-up one",
            "call it in a callback or a rule",
        )
