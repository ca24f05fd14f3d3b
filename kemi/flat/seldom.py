"""Functions that few messages come to: what to do about an attack, an error, bytes that are no text.

Written out they would only make the others longer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def seldom(function: F) -> F:
    """The function as it is, marked."""
    vars(function)["seldom"] = True
    return function


def is_seldom(function: Callable[..., Any]) -> bool:
    """Is it marked?"""
    return "seldom" in vars(function)
