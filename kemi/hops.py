"""What the servers of a cluster ask Kamailio for: Path, the choice of a registrar, shared contacts, the far client.

Part of the border, as :mod:`kemi.message` is: these functions see the integers of modules path, dispatcher and dmq.
They work on the message that Kamailio is processing now.
"""

from __future__ import annotations

from urllib.parse import unquote

import KSR

from kemi.flags import Flag
from kemi.request import Request

# The set of DISPATCHER_LIST, and dispatcher's algorithm 0: by a hash of the Call-ID. The second request of a login then
# reaches the registrar that sent the challenge, and all requests of a phone's registration the same one.
REGISTRARS = 1
BY_CALL_ID = 0

# Of nathelper's fix_nated_sdp(): put the packet's source into c=.
MEDIA_ADDRESS = 2


def sender() -> str:
    """The address the packet came from: another server of the cluster, or a client."""
    return str(KSR.kx.get_srcip())


# -- an edge


def add_path(*, received: bool) -> None:
    """Have the registrar send requests for this contact through us (RFC 3327).

    With ``received`` the Path also says where the REGISTER came from, for a phone behind a NAT.
    """
    if received:
        KSR.path.add_path_received()
    else:
        KSR.path.add_path()


def remove_paths() -> None:
    """Drop Path headers that a client wrote: only an edge says how a contact is reached."""
    KSR.hdr.remove("Path")


def follow_path(request: Request) -> bool:
    """Take the route that a registrar has stored for a contact; False if it does not lead through us.

    Never for a request from elsewhere: ``received`` sends it to any address. For that reason module path, which could
    do this by itself, does it for nobody.
    """
    received = unquote(str(KSR.pv.gete("$(route_uri{uri.param,received})")))
    # The only Route of a request outside any dialog, and ours.
    if KSR.rr.loose_route_preloaded() < 0:
        return False
    if received:
        KSR.setdsturi(received)
        request.mark_destination_nated()
    return True


def choose_registrar() -> bool:
    """Set the next hop to a registrar that lives; False if none does."""
    return KSR.dispatcher.ds_select_dst(REGISTRARS, BY_CALL_ID) > 0


def choose_another_registrar() -> bool:
    """The one chosen is silent: leave it out until it answers a ping, and set the next hop to another.

    False if there is no other.
    """
    KSR.dispatcher.ds_mark_dst_state("ip")
    return KSR.dispatcher.ds_next_dst() > 0


def wait_for_registrar(milliseconds: int) -> None:
    """How long its first reply may take, rather than ``fr_timer``."""
    KSR.tm.t_set_fr(0, milliseconds)


def correct_media_address() -> None:
    """Put the sender's real address in place of the private one in its SDP."""
    KSR.nathelper.fix_nated_sdp(MEDIA_ADDRESS)


def mark_for_registrar() -> None:
    """Remember for the whole transaction that this request goes to a registrar."""
    KSR.setflag(Flag.FOR_REGISTRAR)


def is_for_registrar() -> bool:
    return KSR.isflagset(Flag.FOR_REGISTRAR)


def mark_media_ours() -> None:
    """Remember for the whole transaction that its media is relayed by us, and by no other edge."""
    KSR.setflag(Flag.MEDIA_OURS)


def is_media_ours() -> bool:
    return KSR.isflagset(Flag.MEDIA_OURS)


def asked_from() -> str:
    """``address:port`` where the request came from whose reply is at hand."""
    return f"{KSR.pv.gete('$T_req($si)')}:{KSR.pv.gete('$T_req($sp)')}"


# -- a registrar


def has_server_id() -> bool:
    """Has kamailio.cfg a ``server_id``, which keeps the identities of its contacts apart from the other registrars'?"""
    return KSR.kx.ifdef("SERVER_ID")


def client_address() -> str:
    """Where the edge in front of us got this request from, as it wrote into the second Via (RFC 3581)."""
    return str(KSR.pv.gete("$sel(via[2].received)") or KSR.pv.gete("$sel(via[2].host)"))


def client_port() -> int:
    """The port that belongs to :func:`client_address`; 0 where there is no second Via."""
    return int(str(KSR.pv.gete("$sel(via[2].rport)")) or 0)


def is_client_trusted(address: str, port: int) -> bool:
    """Is the address in group 1 of module permissions' table address?"""
    return KSR.permissions.allow_address(1, address, port) > 0


def path_says_received() -> bool:
    """Did an edge find the phone of this REGISTER behind a NAT?"""
    return ";received=" in str(KSR.hdr.gete("Path"))


def is_for_dmq() -> bool:
    """Is this a message between the registrars (method KDMQ)?"""
    return KSR.is_KDMQ()


def hand_to_dmq() -> None:
    """Have module dmq carry the message out and answer it."""
    KSR.dmq.handle_message()
