"""Room for small pieces in Kamailio's private memory.

Kamailio's default allocator (qm) keeps free fragments in about a thousand lists by size. Asked for a piece, it walks
the lists from that size up to the first that is not empty. Parsing a native configuration leaves thousands of small
free fragments behind; a configuration in Python leaves none, so almost every allocation of every message walks most of
the lists, which costs more than all the Python (`make bench` shows it). Freeing a few fragments of each size before
Kamailio forks ends that in all its processes, and the memory stays common to them until they use it. The allocators
tlsf and fm do not need it, and it costs them nothing.
"""

from __future__ import annotations

import KSR

SIZES = range(16, 2049, 16)  # bytes: what headers, lumps and buffers of a SIP message ask for
OF_EACH = 5  # the rest of Kamailio's start takes some; 650 kB in all


def leave_free_fragments() -> None:
    """Call once, before Kamailio forks."""
    # Kamailio remembers a pseudo-variable's name for ever; these are few.
    names = {f"$var(kemi{size}_{number})": size for number in range(OF_EACH) for size in SIZES}
    for name, size in names.items():
        KSR.pv.sets(name, "." * size)
    for name in names:
        KSR.pv.unset(name)
