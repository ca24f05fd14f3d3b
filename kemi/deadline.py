"""Waiting for what sends no event: ask again until a deadline that names what was awaited."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class DeadlineError(TimeoutError):
    """A deadline passed; the message names what was awaited."""


def wait_until(what: str, ask: Callable[[], T | None], seconds: float, every: float = 0.02) -> T:
    """Call `ask` until it answers something true and return that.

    `what` completes the sentence "waited 5 s for ...". Raises DeadlineError after `seconds`.
    """
    end = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() >= end:
            raise DeadlineError(f"waited {seconds:g} s for {what}; last seen: {answer!r}")
        time.sleep(every)
    return answer
