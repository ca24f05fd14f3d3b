"""The deadlines of `kemi.deadline`, under the name that the laboratory's tests import."""

from kemi.deadline import DeadlineError, wait_until

__all__ = ["DeadlineError", "wait_until"]
