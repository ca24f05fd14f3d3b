"""Tell a web server about missed calls, and let no call ever wait for it."""

import json
from urllib.request import Request as WebRequest
from urllib.request import urlopen

from kemi import features, log, queues
from kemi.branch import Failure
from kemi.http import HttpRequest
from kemi.request import Request
from kemi.router import Router
from kemi.verdict import Relay, Reply, Verdict

QUEUE = "missed_calls"  # missed_calls.cfg declares it


class Routes(Router):
    url = "http://127.0.0.1:8080/missed-calls"
    #: Seconds that the web server has. It keeps nobody waiting but the next report.
    patience = 10

    def start(self, rank: int) -> None:
        super().start(rank)
        features.require("missed_calls", ("mqueue",))

    def to_registered_contacts(self, request: Request) -> Verdict | None:
        called = request.uri_user
        request.remember_called_user(called)
        verdict = super().to_registered_contacts(request)
        if request.is_invite and isinstance(verdict, Reply):
            self.report(request, called)  # no phone is there
        return verdict

    def on_failure(self, failure: Failure) -> Reply | Relay | None:
        called = failure.called_user
        verdict = super().on_failure(failure)
        if called and verdict is None:
            self.report(failure, called)  # busy, no answer, or the caller gave up
        return verdict

    def report(self, call: Request | Failure, called: str) -> None:
        queues.put(QUEUE, json.dumps({"caller": call.from_user, "called": called, "call_id": call.call_id}))

    # -- in the process that missed_calls.cfg makes for it

    def on_event(self, name: str, http_request: HttpRequest) -> None:
        if name != QUEUE:
            return super().on_event(name, http_request)
        for report in queues.take_all(QUEUE):
            self.post(report)
        return None

    def post(self, report: str) -> None:
        request = WebRequest(self.url, report.encode(), {"Content-Type": "application/json"})
        try:
            urlopen(request, timeout=self.patience).close()  # kemi: ignore[K702] - no worker waits
        except OSError as problem:
            log.warning(f"{self.url}: not told of missed call {report}: {problem}")
