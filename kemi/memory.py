"""Room for small pieces in Kamailio's private memory.

Kamailio's default allocator (qm) keeps free fragments in about a thousand lists by size. Asked for a piece, it walks
the lists from that size up to the first that is not empty. Parsing a native configuration leaves thousands of small
free fragments behind; a configuration in Python leaves none, so almost every allocation of every message walks most of
the lists, which costs more than all the Python (`make bench` shows it). Freeing one fragment of each size at the start
ends that. The allocators tlsf and fm do not need it, and it costs them nothing.
"""

from __future__ import annotations

import KSR

SIZES = range(16, 2049, 16)  # bytes: what headers, lumps and buffers of a SIP message ask for; 130 kB in all


def leave_free_fragments() -> None:
    """Call once in each process, before its first message."""
    # Kamailio remembers a pseudo-variable's name for ever; these are few, and the same at every reload.
    for size in SIZES:
        KSR.pv.sets(f"$var(kemi{size})", "." * size)
    for size in SIZES:
        KSR.pv.unset(f"$var(kemi{size})")
