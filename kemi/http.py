"""HTTP requests on the SIP ports (module xhttp); event_route[xhttp:request] of the stock configuration."""

from __future__ import annotations

import KSR

from kemi.message import Message, tolerant

EVENT = "xhttp:request"
LOCALHOST = "127.0.0.1"


class HttpRequest(Message):
    """The HTTP request at hand."""

    __slots__ = ()

    @property
    def path(self) -> str:
        """Path and query, as in the request line."""
        return tolerant(lambda: KSR.pv.gete("$hu"), "hu")

    def reply(self, code: int, reason: str, body: str) -> None:
        """Answer with an HTML page, and close the connection."""
        KSR.set_reply_close()
        KSR.set_reply_no_connect()
        KSR.xhttp.xhttp_reply(code, reason, "text/html", f"<html><body>{body}</body></html>")

    def dispatch_rpc(self) -> None:
        """Have module jsonrpcs carry out and answer the JSON-RPC in the body."""
        KSR.set_reply_close()
        KSR.set_reply_no_connect()
        KSR.jsonrpcs.dispatch()


def serve(request: HttpRequest) -> None:
    """JSON-RPC for this machine, under /RPC."""
    if request.source_ip != LOCALHOST:
        request.reply(403, "Forbidden", f"Not allowed from {request.source_ip}")
    elif request.path.lower().startswith("/rpc"):  # the stock file's regular expressions take any case
        request.dispatch_rpc()
    else:
        request.reply(200, "OK", f"Wrong URL {request.path}")
