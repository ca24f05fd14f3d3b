"""Where one Kamailio answers otherwise than another: the codes that changed, and since when."""

from __future__ import annotations

from kemi.stubs.exports import versions

#: What a function gives in the named case, by the version that gave it first. All of it was seen on 5.6.3, 6.0.1 and
#: 6.1.5; which of the versions between them changed it was not.
_CODES: dict[str, dict[str, int]] = {
    # It sets the value all the same.
    "htable.sht_setxi: done": {"5.6": 0, "6.1": 1},
    "tmx.t_precheck_trans: ACK, CANCEL or a reply": {"5.6": -2, "6.0": -1},
}


def code_in(version: str, case: str) -> int:
    """The code that this version gives in that case."""
    known = versions()
    place = known.index(version)
    return [code for since, code in _CODES[case].items() if known.index(since) <= place][-1]
