"""What the documents say that Kamailio does, it does."""

from __future__ import annotations

import re
from pathlib import Path

from mypy import api

from kemi.check import check
from kemi.testing.servers import Servers
from tests import documents

ROUTES = """
import KSR
from kemi.router import Router
from kemi.verdict import RELAY

WAYS = {
    "as": lambda: None,
    "set_contact_alias": lambda: KSR.nathelper.set_contact_alias(),
    "fix_nated_contact": lambda: KSR.nathelper.fix_nated_contact(),
    "add_rcv_param(0)": lambda: KSR.nathelper.add_rcv_param(0),
    "add_rcv_param(1)": lambda: KSR.nathelper.add_rcv_param(1),
}


class Routes(Router):
    def rules(self):
        return (self.answer_symmetrically, self.limit_hops, self.answer_keepalive, self.mend)

    def mend(self, request):
        WAYS[list(WAYS)[int(request.uri_user)]]()
        return RELAY
"""


def test_the_ways_to_mend_a_contact(start: Servers) -> None:
    (shown,) = documents.outputs("explanation/nat.md")
    server = start("WITH_NAT", routes=ROUTES)
    alice = server.client("alice", contact_host="192.168.1.10", contact_port=5060)
    bob = server.client("bob")
    for number, line in enumerate(shown):
        way = line.split()[0]
        assert f'"{way}"' in ROUTES.splitlines()[6 + number], "the document's lines, in their order"
        alice.send(alice.request("SUBSCRIBE", f"sip:{number}@{bob.address}:{bob.port}"))
        came = bob.expect("SUBSCRIBE")
        contact = (came.header("Contact") or "").replace(str(alice.port), "40000")
        assert re.sub(r"127\.0\.0\.1", "192.0.2.10", contact) == line.split()[-1]
        bob.reply(came, 200)
        alice.expect(200)


def test_the_rules_shown_have_no_mistakes(tmp_path: Path) -> None:
    """Files of rules that are shown whole; those of docs/howto are files of examples/."""
    shown = []
    for page in sorted(documents.DOCS.rglob("*.md")):
        for number, block in enumerate(documents.blocks(str(page.relative_to(documents.DOCS)))):
            if block["text"].startswith("# routes.py\n"):
                path = tmp_path / f"{page.stem.replace('-', '_')}_{number}.py"
                path.write_text(block["text"])
                shown.append(path)
    assert len(shown) >= 5
    assert [str(finding) for finding in check(shown)] == []
    output, errors, code = api.run(["--strict", *map(str, shown)])
    assert code == 0, output + errors
