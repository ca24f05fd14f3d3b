"""Finds mistakes in KEMI routes, settings and kamailio.cfg before Kamailio does: :func:`check`."""

from kemi.check.finding import Finding
from kemi.check.project import NothingToCheckError
from kemi.check.run import check

__all__ = ["Finding", "NothingToCheckError", "check"]
