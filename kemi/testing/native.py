"""The message object that app_python3 hands to a callback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kemi.testing.state import Reply

if TYPE_CHECKING:
    from kemi.testing.ksr import FakeKSR

#: What Kamailio answers where nothing set an error, on the whole: the number and the word vary.
UNKNOWN_ERROR = (500, "I'm terribly sorry, server error occurred (1/SL)")


class FakeMessage:
    """Calls functions of the configuration language on the message at hand; of these it knows two.

    ``sl_reply_error`` (``send_reply_error``) answers with the last error, such as 400 for a Contact that ``save()``
    could not read. Before any other function, so for ``has_totag``, Kamailio forgets that error.
    """

    def __init__(self, ksr: FakeKSR) -> None:
        self._ksr = ksr

    @property
    def Method(self) -> str:  # noqa: N802 - its name
        """The method of the request at hand."""
        return self._ksr.now.message.method.encode("utf-8", "surrogateescape").decode()

    def call_function(self, name: str, /, *_arguments: str) -> int:
        """Raises ValueError for a function that is not known here."""
        ksr = self._ksr
        if name == "has_totag":
            ksr.now.error = None
            return int(ksr.call("siputils.has_totag") or 0)
        if name not in ("sl_reply_error", "send_reply_error"):
            raise ValueError(
                f"call_function({name!r}): the fake knows has_totag, sl_reply_error and send_reply_error; "
                f"call it through KSR, or add it to {__name__}"
            )
        if name == "send_reply_error" and ksr.now.transaction and ksr.now.transaction.status >= 200:
            return -1
        code, reason = ksr.now.error or UNKNOWN_ERROR
        ksr.replies.append(Reply(code, reason, stateful=False, headers=tuple(ksr.now.reply_headers)))
        return 1
