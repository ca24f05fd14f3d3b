"""Flag numbers, the same as in Kamailio's stock configuration, where modparams refer to them."""

from __future__ import annotations

from enum import IntEnum


class Flag(IntEnum):
    """Flags of the message and its transaction (``setflag``)."""

    ACCOUNT = 1  # FLT_ACC
    ACCOUNT_MISSED = 2  # FLT_ACCMISSED
    ACCOUNT_FAILED = 3  # FLT_ACCFAILED
    NATED_SOURCE = 5  # FLT_NATS
    MEDIA_OURS = 6  # FLT_MEDIA, set by an edge of a cluster
    FOR_REGISTRAR = 7  # FLT_REGISTRAR, set by an edge of a cluster


class BranchFlag(IntEnum):
    """Flags of one branch (``setbflag``); the registrar stores them with the contact."""

    NATED_DESTINATION = 6  # FLB_NATB
    OPTIONS_KEEPALIVE = 7  # FLB_NATSIPPING
