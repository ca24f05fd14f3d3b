"""What came of asking Kamailio something that has more than two answers."""

from __future__ import annotations

from enum import Enum


class Credentials(Enum):
    """What came of checking a request's digest (RFC 3261, section 22)."""

    GOOD = "good"
    WRONG = "wrong"  # a fresh digest with the wrong password, of a user who does not exist, or of another than From
    NONE = "none"  # missing, or nothing that tells of a guess


# Names of their own, for the path of each message: to find a member of an enum takes longer than to ask Kamailio.
GOOD, WRONG, NO_CREDENTIALS = Credentials


class Lookup(Enum):
    """What the location table says about the address of record in the request-URI."""

    FOUND = "found"
    NOT_FOUND = "not found"
    METHOD_NOT_ALLOWED = "method not allowed"


class Transaction(Enum):
    """Does the request belong to a transaction that exists?"""

    NONE = "none"
    MATCHED = "matched"
    RETRANSMISSION = "retransmission"
