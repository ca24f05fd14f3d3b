"""The page and the live account, drawn from the recorded call."""

import io
import re
from html.parser import HTMLParser

from rich.console import Console

from kemi.lab.event import Event
from kemi.lab.report.account import Account
from kemi.lab.report.grid import Grid
from kemi.lab.report.ladder import Ladder, Lane, build
from kemi.lab.report.media import Media
from kemi.lab.report.page import CallView, render
from kemi.lab.report.rows import rows
from kemi.lab.report.wire import Endpoint, Stream
from tests.unit.report_samples import ALICE, BOB, recorded, result

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Checks that every element is closed, and collects identifiers and references."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("href", "src"):
                self.references.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def view(callee_nat: str = "symmetric", problem: str = "") -> CallView:
    ladder = build(ALICE, BOB, recorded("caller"), recorded("server"), recorded("callee"))
    call = result("symmetric", callee_nat, problem)
    return CallView(call, (), tuple(rows(ladder, (), (ALICE, BOB))), problem)


def page(*calls: CallView) -> str:
    return render(calls, Grid.of([call.result for call in calls]))


def test_the_page_needs_nothing_but_itself() -> None:
    text = page(view())
    assert all(reference.startswith(("#", "data:")) for reference in Page(text).references)
    assert not re.search(r"@import|url\(|<script", text)


def test_each_cell_of_the_grid_leads_to_its_call() -> None:
    parsed = Page(page(view()))
    assert "#alice-symmetric-bob-symmetric" in parsed.references
    assert "alice-symmetric-bob-symmetric" in parsed.ids
    assert len(parsed.ids) == len(set(parsed.ids))


def test_what_the_nat_changed_is_told() -> None:
    text = page(view())
    assert "<code>192.168.1.2:5060</code> ⇒ <code>203.0.113.21:58867</code>" in text
    assert "Via, Contact, SDP" in text


def test_what_kamailio_changed_is_marked_and_explained() -> None:
    text = page(view())
    assert "<ins>;alias=203.0.113.21~58867~1</ins>" in text
    assert "where the phone really is, for later requests of this call" in text


def test_a_failed_call_is_shown_first_with_its_problem() -> None:
    text = page(view(), view("full cone", "alice heard nothing of <bob>"))
    assert "alice heard nothing of &lt;bob&gt;" in text
    assert 'class="call featured" id="alice-symmetric-bob-full-cone"' in text
    assert 'class="call" id="alice-symmetric-bob-symmetric"' in text
    assert "1<small> of 2</small>" in text


def test_a_page_without_a_call_can_be_drawn() -> None:
    Page(page())


def test_the_account_tells_events_and_draws_the_ladder() -> None:
    out = io.StringIO()
    account = Account(Console(file=out, width=100))
    account(Event("registered", "alice", "registered, received from 203.0.113.21:58867"))
    account.ladder(view().rows, (ALICE, BOB))
    told = out.getvalue()
    assert re.search(r"✚ alice +registered, received from 203\.0\.113\.21:58867\n", told)
    assert re.search(r"│─ INVITE ─+◆─+▶│ +192\.168\.1\.2:5060 ⇒ 203\.0\.113\.21:58867 +│\n", told)
    assert re.search(r"│◀─+◆─+ 180 Ringing ─│ +Via, alias +│\n", told)


def test_a_voice_names_the_relays_ports_on_both_sides() -> None:
    def stream(source: tuple[str, int], destination: tuple[str, int]) -> Stream:
        return Stream("0x2", Endpoint(*source), Endpoint(*destination), 200, 1.0, 5.0)

    hops = (
        stream(("10.0.0.2", 40942), ("203.0.113.10", 35432)),
        stream(("203.0.113.22", 58862), ("203.0.113.10", 35432)),
        stream(("203.0.113.10", 35210), ("203.0.113.21", 4474)),
        stream(("203.0.113.10", 35210), ("192.168.1.2", 40788)),
    )
    out = io.StringIO()
    (_, voice) = rows(Ladder(()), [Media(Lane.CALLEE, Lane.CALLER, "0x2", hops)], (ALICE, BOB))
    Account(Console(file=out, width=100)).ladder([voice], (ALICE, BOB))
    assert "◀══" in out.getvalue()
    assert " bob's voice: 200 ◂ relay :35210 :35432 ◂ 200 packets ═" in out.getvalue()
