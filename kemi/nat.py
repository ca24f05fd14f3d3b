"""Finding NATs; route[NATDETECT] of the stock configuration."""

from __future__ import annotations

from kemi.request import Request
from kemi.settings import NatSettings, NatTest

# Those that read the SDP. A plain number: an IntFlag costs more than a test.
READ_SDP = int(NatTest.sdp | NatTest.sdp_source)


class Tests:
    """The tests of ``nat_uac_test`` that the settings name."""

    def __init__(self, settings: NatSettings) -> None:
        self.sdp = settings.bits & READ_SDP
        self.headers = settings.bits & ~READ_SDP


def detect(request: Request, tests: Tests) -> None:
    """Remember where a caller behind a NAT really is.

    A REGISTER keeps the source beside the Contact, for the location table (``received``). Any other request gets it
    into the Contact as ``;alias=``, unless a proxy stands between, whose address would be the wrong one.
    """
    if not request.nat_test(tests.headers) and not (tests.sdp and _sdp_shows_nat(request, tests.sdp)):
        return
    if request.is_register:
        request.keep_source_for_contact()
    elif request.is_first_hop:
        request.add_contact_alias()
    request.mark_source_nated()


def _sdp_shows_nat(request: Request, tests: int) -> bool:
    # In another body they would find nothing, and log that as an error: each MESSAGE, each PUBLISH.
    return not request.has_other_body_than_sdp and request.nat_test(tests)
