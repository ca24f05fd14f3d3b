"""Who may use us; route[AUTH] of the stock configuration."""

from __future__ import annotations

from kemi import auth_cache, location
from kemi.bans import Bans
from kemi.features import Features
from kemi.outcome import GOOD, WRONG
from kemi.request import Request
from kemi.verdict import Absorb, Drop, Reply, Verdict

NOT_RELAYING = Reply(403, "Not relaying")
CHALLENGED = Absorb("challenged")


def authenticate(request: Request, bans: Bans, *, qop: bool, features: Features) -> Verdict | None:
    """Digest for REGISTER and for whoever claims to be one of our users, unless the address speaks for itself."""
    if features.ip_auth and not request.is_register and request.is_from_trusted_address:
        return None
    if not (request.is_register or request.is_from_us):
        return None
    renewal = bans.renewal(request)
    if renewal is None and (why := bans.refuses(request)):
        return Drop(why)
    realm = request.from_domain
    if features.auth_cache:
        outcome = auth_cache.check_credentials(request, realm, clear_text=features.clear_text)
    else:
        outcome = request.check_credentials(realm)
    if outcome is not GOOD:
        if outcome is WRONG:
            bans.count_failure(request)
        # The same answer whether the user exists or not.
        request.challenge(realm, qop=qop)
        return CHALLENGED
    if request.is_register:
        if bans.is_due(renewal):
            bans.note_login(request)
    elif not request.is_publish:
        request.remove_credentials()
    return None


def refuse_strangers(request: Request, *, with_auth: bool, ip_auth: bool, hide_users: bool) -> Verdict | None:
    """Not an open relay: a stranger may call our users, and only with authentication may our users call out.

    With ``hide_users`` a stranger may not ask who is there and with which phone (OPTIONS, RFC 3261, section 11).
    """
    if with_auth and request.is_from_us:
        return None
    asks = hide_users and with_auth and request.is_options
    if request.is_for_us and not asks:
        return None
    if with_auth and ip_auth and not request.is_register and request.is_from_trusted_address:
        return None
    return location.NOT_FOUND if request.is_for_us else NOT_RELAYING
