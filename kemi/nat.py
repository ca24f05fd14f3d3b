"""Finding NATs and getting through them; route[NATDETECT] and route[DLGURI] of the stock configuration."""

from __future__ import annotations

from kemi.request import Request
from kemi.settings import NatTest

READ_SDP = NatTest.sdp | NatTest.sdp_source


def detect(request: Request, tests: int) -> None:
    """Remember where a caller behind a NAT really is.

    A REGISTER keeps the source beside the Contact, for the location table (``received``). Any other request gets it
    into the Contact as ``;alias=``, unless a proxy stands between, whose address would be the wrong one.
    """
    if tests & READ_SDP and request.has_other_body_than_sdp:
        # They would find nothing in it, and log that as an error: each MESSAGE, each PUBLISH.
        tests &= ~READ_SDP
    if not request.nat_test(tests):
        return
    if request.is_register:
        request.keep_source_for_contact()
    elif request.is_first_hop:
        request.add_contact_alias()
    request.mark_source_nated()


def follow_alias(request: Request) -> None:
    """A request in a dialog goes to the address in its ``;alias=``, unless a Route has chosen the next hop."""
    if not request.has_destination:
        request.follow_contact_alias()
