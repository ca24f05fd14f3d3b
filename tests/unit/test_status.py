"""Records of processes, and the summaries made of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kemi.cli import registrations as module
from kemi.cli.nudge import Listener
from kemi.cli.reload import ReloadError, summary
from kemi.cli.status import _problems
from kemi.cli.workers import Process
from kemi.self_report import SelfReport, fingerprint
from kemi.status import START, STARTED, TABLE, TRACE, ProcessRecord
from kemi.testing.ksr import FakeKSR
from kemi.trace import Wish

SOCKET = Path("/run/rpc.sock")


def worker(pid: int, **record: Any) -> Process:
    return Process(pid, f"udp receiver child={pid} sock=192.0.2.1:5060", ProcessRecord(rank=pid, **record))


# -- the record of a process


def test_a_record_survives_the_table() -> None:
    record = ProcessRecord(rank=3, load=2, version="abcd", error="\udcff \0 ü", exceptions=4)
    text = record.to_text()
    assert text.isascii()
    assert ProcessRecord.from_text(text) == record


def test_a_record_of_another_version_of_kemi_is_read_as_far_as_it_is_known() -> None:
    values = {**json.loads(ProcessRecord(rank=3).to_text()), "new": 1}
    del values["trace"]
    assert ProcessRecord.from_text(json.dumps(values)) == ProcessRecord(rank=3)


@pytest.mark.parametrize("text", ["", "1", "{}", "[]"])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected the record|Expecting value"):
        ProcessRecord.from_text(text)


def test_a_long_error_is_cut_so_that_all_records_fit_one_answer() -> None:
    assert len(ProcessRecord(error="x" * 10_000).to_text()) < 1000


@pytest.fixture
def report(ksr: FakeKSR) -> SelfReport:
    ksr.htables = {TABLE: {}}
    return SelfReport(publish=True)


def published(ksr: FakeKSR) -> ProcessRecord:
    ((_, text),) = [entry for entry in ksr.htables[TABLE].items() if entry[0].isdigit()]
    return ProcessRecord.from_text(str(text))


def test_loads_refusals_and_exceptions_are_published(
    ksr: FakeKSR, report: SelfReport, tmp_path: Path
) -> None:
    (tmp_path / "routes.py").write_text("1")
    report.describe(3, [tmp_path / "routes.py"], tmp_path / "kemi.yaml")
    report.loaded(2)
    assert published(ksr).load == 3
    assert published(ksr).rank == 2
    assert published(ksr).settings == str(tmp_path / "kemi.yaml")
    report.refused(4, "SyntaxError: x")
    assert (published(ksr).load, published(ksr).tried, published(ksr).error) == (3, 4, "SyntaxError: x")
    report.caught("ValueError: y")
    assert (published(ksr).exceptions, published(ksr).exception) == (1, "ValueError: y")


def test_what_was_loaded_before_the_fork_is_reported_once_for_all(ksr: FakeKSR, report: SelfReport) -> None:
    report.describe(0, [], None)
    report.for_all = True
    own = str(os.getpid())
    report.loaded(3)
    assert ksr.htables[TABLE] == {own: STARTED}
    report.loaded(0)
    assert list(ksr.htables[TABLE]) == [own, START]
    report.caught("ValueError: y")
    assert published(ksr).exceptions == 1


def test_without_the_table_it_keeps_to_itself(ksr: FakeKSR) -> None:
    ksr.htables = {}
    report = SelfReport(publish=False)
    report.loaded(1)
    assert report.asked_reloads() == 0
    assert report.wish() is None


def test_a_table_that_fails_harms_nobody(ksr: FakeKSR) -> None:
    ksr.htables = {}
    SelfReport(publish=True).loaded(1)
    assert any("this process cannot report" in line.text for line in ksr.log)
    ksr.misuse.clear()


def test_a_wish_is_taken_up_once_and_not_when_it_is_over(ksr: FakeKSR, report: SelfReport) -> None:
    wish = Wish("1", "/run/x", 4e9)
    ksr.htables[TABLE][TRACE] = wish.to_text()
    assert report.wish() == wish
    report.traces(wish)
    assert report.wish() is None
    ksr.htables[TABLE][TRACE] = Wish("2", "/run/x", 1.0).to_text()
    assert report.wish() is None
    ksr.htables[TABLE][TRACE] = "no wish"
    assert report.wish() is None


def test_a_fingerprint_tells_files_names_and_contents_apart(tmp_path: Path) -> None:
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    first.write_text("1")
    second.write_text("1")
    prints = [fingerprint([first]), fingerprint([second]), fingerprint([first, second]), fingerprint([])]
    assert len(set(prints)) == 4
    assert fingerprint([second, first]) == prints[2]
    first.write_text("2")
    assert fingerprint([first]) != prints[0]
    first.unlink()
    assert fingerprint([first]) != prints[0]


# -- what a load came to


def test_all_workers_is_success() -> None:
    text = summary(
        SOCKET, 2, [worker(1, load=2, tried=2, version="v"), worker(2, load=2, tried=2, version="v")], 5
    )
    assert text == "/run/rpc.sock: load 2: 2 of 2 workers serve the new routes (version v)"


def test_a_worker_that_slept_is_named() -> None:
    with pytest.raises(
        ReloadError, match=r"(?s)1 of 2 workers.*no message reached these within 5 s.*\n  7 \(udp"
    ):
        summary(SOCKET, 2, [worker(1, load=2, tried=2, version="v"), worker(7)], 5)


def test_an_edit_during_the_load_is_told() -> None:
    found = [worker(1, load=2, tried=2, version="v"), worker(2, load=2, tried=2, version="w")]
    with pytest.raises(ReloadError, match=r"(?s)version v and w.*reload again"):
        summary(SOCKET, 2, found, 5)


def test_timers_are_not_waited_for_but_counted() -> None:
    timer = Process(9, "slow timer", ProcessRecord(rank=-1))
    assert "1 other processes" in summary(SOCKET, 1, [worker(1, load=1, tried=1, version="v"), timer], 5)


# -- what is wrong


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([Process(1, "tcp receiver (generic) child=0", None)], "TCP worker 1 has not reported"),
        ([worker(1, load=1, tried=2, error="SyntaxError")], "serves those of load 1: SyntaxError"),
        ([worker(1, load=1, tried=1)], "serves load 1, not 2: run `kemi reload`"),
        ([worker(1, load=2, exceptions=3, exception="KeyError: 1")], "caught 3 exceptions, the last at "),
        ([worker(1, load=2, version="a"), worker(2, load=2, version="b")], "different files (versions a, b)"),
    ],
)
def test_a_problem_is_told(found: list[Process], said: str) -> None:
    (problem,) = _problems(found, 2)
    assert said in problem


def test_a_timer_of_an_earlier_load_is_no_problem() -> None:
    assert _problems([worker(1, load=2), Process(9, "slow timer", ProcessRecord(rank=-1))], 2) == []


# -- where phones are


@pytest.mark.parametrize(
    ("address", "received", "signs"),
    [
        ("sip:a@192.168.1.2:5060", "sip:198.51.100.7:40001", ["contact", "contact_address", "contact_port"]),
        ("sip:a@100.64.0.9", "sip:198.51.100.7:5060", ["contact", "contact_address"]),
        ("sip:a@198.51.100.7:5060;ob", "sip:198.51.100.7:5062", ["contact_port"]),
        ("sip:a@10.0.0.1", "sip:10.0.0.1", ["contact", "source"]),
        ("sip:a@[2001:db8::1]:5060", "sip:[2001:db8::2]:5060", ["contact_address"]),
        (
            "sip:a@phone.invalid",
            "sip:198.51.100.7:443;transport=ws",
            ["contact_address", "contact_port", "websocket"],
        ),
        ("tel:1", "[not set]", []),
    ],
)
def test_the_signs_of_a_nat_are_read_from_the_table(address: str, received: str, signs: list[str]) -> None:
    assert list(module._signs({"Address": address, "Received": received})) == signs


@pytest.mark.parametrize(
    ("listener", "does", "expected"),
    [
        (Listener("udp", "192.0.2.1", 5060), "udp receiver child=0 sock=192.0.2.1:5060", True),
        (Listener("udp", "192.0.2.1", 5060), "udp receiver child=0 sock=192.0.2.11:5060", False),
        (Listener("udp", "2.0.2.1", 5060), "udp receiver child=0 sock=192.0.2.1:5060", False),
        (Listener("udp", "::1", 5060), "udp receiver child=0 sock=[[::1]]:5060", True),
        (Listener("udp", "::1", 5060), "udp receiver child=0 sock=[::1]:5060", True),
    ],
)
def test_a_worker_is_found_by_its_socket(listener: Listener, does: str, expected: bool) -> None:
    assert listener.is_of(does) is expected
