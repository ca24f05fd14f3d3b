"""The handler of a server with metrics (WITH_METRICS): it counts what it decides, and answers Prometheus."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

from kemi import http, log
from kemi.handler import HANDLED, Handler
from kemi.metrics import Exporter, Metrics
from kemi.registrar import ANSWERED
from kemi.request import Request
from kemi.router import Router, Rule
from kemi.verdict import Verdict

PATH = "/metrics"


class MeteredHandler(Handler):
    """As :class:`Handler`; a server without metrics has nothing of this."""

    __slots__ = ("_exporter", "_metrics")

    def __init__(self, router: Router, folder: Path | None = None) -> None:
        super().__init__(router, folder)
        self._metrics = self.report.metrics = Metrics(
            router.settings, sees_phones=not router.features.cluster
        )
        self._observe = self._count
        self._exporter = Exporter(router.settings)
        router.count_media(self._metrics.relay_answered)

    def ksr_event(self, _msg: object, name: str) -> int:
        """An event of a module; a request for the metrics is answered here, others go to the router."""
        if name == http.EVENT and self._http.path.partition("?")[0] == PATH:
            try:
                self._export()
            except BaseException:  # noqa: BLE001 - the guard itself
                self._guard(self._http)
            return HANDLED
        return super().ksr_event(_msg, name)

    def retire(self) -> None:
        """Hand on what is left."""
        self._metrics.flush()

    def _export(self) -> None:
        source = self._http.source_ip
        if not self._exporter.allows(source):
            self._http.reply(403, "Forbidden", f"Not allowed from {source}")
            return
        self._metrics.flush()
        self._exporter.answer()

    def _count(self, request: Request, rule: Rule, verdict: Verdict) -> None:
        try:
            metrics = self._metrics
            metrics.decisions[rule] += 1
            if verdict is ANSWERED:
                metrics.registered(request.source_is_nated, request.nat_test)
            if monotonic() >= metrics.due:
                metrics.flush()
        except Exception as problem:  # noqa: BLE001 - a number is worth no call
            log.error(f"metrics: {problem!r}")
