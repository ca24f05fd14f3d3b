"""Results of the benchmark: ratios, files, what has become worse, the pages made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench import history
from bench.digest import Credentials
from bench.messages import header, request, response
from bench.report import projection, tables
from bench.results import Figures, Memory, Result, figures
from bench.rounds import Sample


def samples(*cpu: float) -> list[Sample]:
    return [Sample(cpu=one, wall=2 * one, busy=0.5) for one in cpu]


def result(ratio: float, instructions: float | None = None) -> Result:
    stock = Figures(10.0, 1.0, 1.0, 1.0, 1000.0, 1.0, 20_000 if instructions else None, [1.0, 2.0, 3.0, 4.0])
    ours = Figures(10.0 * ratio, ratio, ratio - 0.1, ratio + 0.1, 900.0, 0.5, instructions)
    stock.code_misses, ours.code_misses = 1000, 1250
    machine = {"kamailio": "5.6.3", "date": "2026-01-02 03:04"}
    return Result(
        machine,
        rounds=9,
        figures={"qm": {"register": {"stock": stock, "kemi": ours}}},
        memory={"qm": {"stock": Memory(1_000_000, 20_000_000), "kemi": Memory(2_000_000, 30_000_000)}},
    )


def test_a_ratio_is_one_of_the_same_round() -> None:
    # The machine was twice as slow in the second round, for both.
    found = figures({"stock": samples(10e-6, 20e-6, 10e-6), "kemi": samples(9e-6, 18e-6, 12e-6)})
    assert found["kemi"].ratio == pytest.approx(0.9)
    assert found["kemi"].low == pytest.approx(0.9)
    assert found["kemi"].high == pytest.approx(1.2)
    assert found["kemi"].cpu == pytest.approx(12)
    assert found["kemi"].per_second == pytest.approx(1 / 24e-6)


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    result(1.25, 30_000).write(file)
    assert Result.read(file) == result(1.25, 30_000)


def test_a_file_that_is_no_result_is_named(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text("{}")
    with pytest.raises(ValueError, match=r"other\.json: expected the result of a benchmark"):
        Result.read(file)


@pytest.mark.parametrize(
    ("before", "after", "worse"),
    [
        pytest.param(result(1.0), result(1.04), False, id="within the tolerance"),
        pytest.param(result(1.0), result(1.06), True, id="slower"),
        pytest.param(result(1.0), result(0.9), False, id="faster"),
        pytest.param(result(1.0, 20_000), result(1.2, 20_100), False, id="a noisy machine, the same work"),
        pytest.param(result(1.0, 20_000), result(1.0, 22_000), True, id="more work"),
    ],
)
def test_what_costs_more_is_worse(before: Result, after: Result, worse: bool) -> None:
    (change,) = history.changes(before, after)
    assert change.is_worse is worse
    assert ("WORSE" in str(change)) is worse


def test_the_newest_result_of_each_version_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "HISTORY", tmp_path)
    older = result(1.2)
    newer = replace(result(0.9), machine={"kamailio": "5.6.3", "date": "2026-02-02 03:04"})
    other = replace(result(1.1), machine={"kamailio": "6.0.1", "date": "2026-01-02 03:04"})
    for one in (newer, older, other):
        one.write(history.file_for(one))
    (tmp_path / "micro-kamailio5.6.3.json").write_text("{}")
    assert [one.machine for one in history.latest()] == [newer.machine, other.machine]


def test_tables_show_the_ratio_with_its_spread() -> None:
    text = tables.times(result(0.9), "qm")
    assert "| REGISTER behind a NAT | 10.0 µs | **0.90** (0.80–1.00) |" in text
    assert "| REGISTER behind a NAT | 1,000 | 900 * |" in tables.rates(result(0.9), "qm")
    assert tables.instructions(result(0.9), "qm") == ""
    assert "| REGISTER behind a NAT | 20.0 k | 0.95 |" in tables.instructions(result(0.9, 19_000), "qm")
    assert "| REGISTER behind a NAT | 1.0 k | 1.25 |" in tables.code_misses(result(0.9), "qm")
    assert "| kemi, qm | 2.00 MB | 30.0 MB | +10.0 MB |" in tables.memory(result(0.9))


def test_ten_times_the_users_need_about_ten_times_the_machines() -> None:
    costs = projection.Costs(register=100, keepalive=5, call=600, hop=60, media=1.5, contact=1300)
    small, large = projection.need(1_000_000, costs), projection.need(10_000_000, costs)
    assert small.registers == pytest.approx(1_000_000 / 1800)
    assert small.held == pytest.approx(1_000_000 / 3600 * 120)
    assert small.relay_cores == pytest.approx(small.held * 1.5e-3)
    assert large.relays / small.relays == pytest.approx(10, rel=0.1)
    assert projection.need(1000, costs).edges == 2, "one of each kind may die"


@pytest.mark.parametrize(("qop", "expected"), [(', qop="auth"', True), ("", False)])
def test_credentials_answer_with_the_qop_that_was_offered(qop: str, expected: bool) -> None:
    challenge = (
        f'SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm="example.com", nonce="abc"{qop}\r\n\r\n'
    )
    line = Credentials(challenge.encode(), "REGISTER", "sip:example.com").line("user1")
    assert line.startswith('Authorization: Digest username="user1", realm="example.com", nonce="abc"')
    assert ("qop=auth, nc=00000001" in line) is expected


def test_a_response_repeats_what_it_must() -> None:
    asked = request("INVITE", "sip:bob@example.com", 7, user="alice", to="<sip:bob@example.com>")
    answer = response("200 OK", asked, contact="sip:bob@192.168.2.20")
    for name in (b"Via", b"From", b"Call-ID", b"CSeq"):
        assert header(answer, name) == header(asked, name)
    assert header(answer, b"To") == b"<sip:bob@example.com>;tag=callee"
    again = request("BYE", "sip:bob@192.168.2.20", 8, user="alice", to="<sip:bob@example.com>;tag=callee")
    assert header(response("200 OK", again), b"To") == b"<sip:bob@example.com>;tag=callee"
