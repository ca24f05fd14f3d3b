"""KSR.auth and KSR.auth_db: digest authentication (RFC 2617), really computed against `ksr.subscribers`."""

from __future__ import annotations

import hashlib

from kemi.testing.fake import NO, YES, Family, code
from kemi.testing.fake_headers import remove
from kemi.testing.fake_replies import send
from kemi.testing.message import Message
from kemi.testing.pseudovars import credentials

USER_MISMATCH, NO_CREDENTIALS, STALE_NONCE, USER_UNKNOWN, INVALID_PASSWORD = -8, -5, -4, -3, -2
CHECK_USER = 1
QOP_AUTH = 1
BAD_NONCE = -1
NONCE = "kemi-nonce-1"
#: A nonce that we issued and that is too old by now. One that we never issued, or issued before a restart, is an error.
EXPIRED_NONCE = "old"


def digest(method: str, uri: str, user: str, realm: str, password: str, nonce: str) -> str:
    """The response of a digest (RFC 2617, section 3.2.2); with qop, `nonce` is "nonce:nc:cnonce:qop"."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    ha1 = md5(f"{user}:{realm}:{password}")
    ha2 = md5(f"{method}:{uri}")
    return md5(f"{ha1}:{nonce}:{ha2}")


def authorize(
    message: Message, user: str, password: str, *, realm: str = "", nonce: str = NONCE, qop: bool = False
) -> Message:
    """The request again, with credentials, as a phone sends it after the challenge of `auth_challenge`."""
    sender = message.address("From")
    realm = realm or (sender.host if sender else "")
    counted = f"{nonce}:00000001:0a4f113b:auth" if qop else nonce
    response = digest(message.method, message.uri, user, realm, password, counted)
    name = "Authorization" if message.method == "REGISTER" else "Proxy-Authorization"
    value = (
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{message.uri}", '
        f'response="{response}", algorithm=MD5'
    )
    return message.with_header(name, value + (', qop=auth, nc=00000001, cnonce="0a4f113b"' if qop else ""))


class Auth(Family):
    """Challenges and credentials."""

    def auth_challenge(self, realm: str, flags: int) -> int:
        register = self.now.message.method == "REGISTER"
        header = "WWW-Authenticate" if register else "Proxy-Authenticate"
        self.ksr.nonces.add(NONCE)
        qop = ', qop="auth"' if flags & QOP_AUTH else ""
        self.now.reply_headers.append(f'{header}: Digest realm="{realm}", nonce="{NONCE}"{qop}')
        status, reason = (401, "Unauthorized") if register else (407, "Proxy Authentication Required")
        sent = send(self, status, reason, stateful=self.now.transaction is not None)
        return sent if sent > 0 else -3

    def www_challenge(self, realm: str, flags: int) -> int:
        return self.auth_challenge(realm, flags)

    def has_credentials(self, realm: str) -> int:
        return code(credentials(self.ksr, "realm") == realm)

    def consume_credentials(self) -> int:
        if not self.now.credentials_found:
            return NO
        remove(self.now.outgoing, "Authorization")
        remove(self.now.outgoing, "Proxy-Authorization")
        return YES

    def pv_auth_check(self, realm: str, password: str, _flags: int, checks: int) -> int:
        result = check(self, realm, password)
        return _check_user(self, result) if checks & CHECK_USER else result


class AuthDb(Family):
    """The subscriber table."""

    def auth_check(self, realm: str, _table: str, flags: int) -> int:
        user = credentials(self.ksr, "username")
        result = check(self, realm, self.ksr.subscribers.get(user or ""))
        return _check_user(self, result) if flags & CHECK_USER else result

    def is_subscriber(self, uri: str, _table: str, _flags: int) -> int:
        raise ValueError(
            f"KSR.auth_db.is_subscriber({uri!r}): always no with modparam load_credentials empty, as the stock "
            "file has it; "
            'with other values let the test say what it gives: ksr.answer("auth_db.is_subscriber", 1)'
        )


def check(family: Family, realm: str, password: str | None) -> int:
    """Check the digest of the message at hand; the result is a code of module auth."""
    ksr = family.ksr
    if family.now.message.method in ("ACK", "CANCEL"):
        return YES
    header = "Authorization" if family.now.message.method == "REGISTER" else "Proxy-Authorization"
    names = ("username", "realm", "nonce", "uri", "response", "qop", "nc", "cnonce")
    fields = {name: credentials(ksr, name, (header,)) for name in names}
    if fields["username"] is None or fields["realm"] != realm:
        return NO_CREDENTIALS
    family.now.credentials_found = True
    if fields["nonce"] == EXPIRED_NONCE:
        return STALE_NONCE
    if fields["nonce"] not in ksr.nonces:
        return BAD_NONCE
    if password is None:
        return USER_UNKNOWN
    method = family.now.message.method
    user, uri, nonce = (fields[name] or "" for name in ("username", "uri", "nonce"))
    if fields["qop"]:
        nonce = f"{nonce}:{fields['nc']}:{fields['cnonce']}:{fields['qop']}"
    expected = digest(method, uri, user, realm, password, nonce)
    return YES if fields["response"] == expected else INVALID_PASSWORD


def _check_user(family: Family, result: int) -> int:
    """A right password counts only for the user's own address: To in REGISTER and PUBLISH, From otherwise."""
    message = family.now.message
    if result <= 0 or message.method in ("ACK", "CANCEL"):
        return result
    claimed = message.address("To" if message.method in ("REGISTER", "PUBLISH") else "From")
    return result if claimed and claimed.user == credentials(family.ksr, "username") else USER_MISMATCH
