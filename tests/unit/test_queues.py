"""Queues from the workers to a process with time, on the fake."""

from __future__ import annotations

from kemi import queues
from kemi.testing import FakeKSR
from kemi.testing.plugin import checked


def fake(size: int | None = None) -> FakeKSR:
    return FakeKSR(modules=["mqueue", "pv"], queues={"line": size})


def test_texts_come_out_in_the_order_in_which_they_went_in() -> None:
    with checked(fake()):
        for text in ("one", "", "drei – 三"):
            queues.put("line", text)
        assert list(queues.take_all("line")) == ["one", "", "drei – 三"]
        assert list(queues.take_all("line")) == []


def test_what_comes_in_meanwhile_is_left_for_the_next_time() -> None:
    with checked(fake()):
        queues.put("line", "one")
        for text in queues.take_all("line"):
            queues.put("line", f"after {text}")
        assert list(queues.take_all("line")) == ["after one"]


def test_a_full_queue_forgets_the_oldest() -> None:
    with checked(fake(size=2)):
        for text in ("one", "two", "three"):
            queues.put("line", text)
        assert list(queues.take_all("line")) == ["two", "three"]


def test_another_process_may_have_taken_it() -> None:
    with checked(fake()) as ksr:
        queues.put("line", "one")
        ksr.answer("mqueue.mq_size", 3)
        assert list(queues.take_all("line")) == ["one"]
