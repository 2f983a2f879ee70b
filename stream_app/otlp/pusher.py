"""Sends the metrics by OTLP/HTTP every so often. A receiver that is away costs a log line, and nothing else."""

import logging
import socket
import threading
import time

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry

from stream_app import __version__
from stream_app.otlp.conversion import converted
from stream_app.settings import Settings

_TIMEOUT_S = 10.0
"""For one message, its retries included."""

logger = logging.getLogger(__name__)


class OtlpPusher:
    """One thread that collects and sends; at most one message is on its way, and none is kept for later."""

    def __init__(self, settings: Settings, registry: CollectorRegistry, service: str) -> None:
        self._registry = registry
        self._every_s = settings.otlp_every_s
        self._where = str(settings.otlp_url)
        token = settings.otlp_token.reveal()
        self._exporter = OTLPMetricExporter(
            endpoint=settings.otlp_url.reveal(),
            headers={"authorization": f"Bearer {token}"} if token else None,
            timeout=min(_TIMEOUT_S, settings.otlp_every_s),
        )
        self._resource = Resource.create(
            {
                "service.name": service,
                "service.namespace": settings.app_id,
                "service.version": __version__,
                "service.instance.id": f"{socket.gethostname()}:{time.time_ns():x}",
            }
        )
        self._start_ns = time.time_ns()
        self._is_away = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)

    def start(self) -> None:
        """Send from now on until the process ends."""
        self._thread.start()

    def stop(self) -> None:
        """End after the message that is on its way."""
        self._ended.set()
        self._exporter.shutdown()
        self._thread.join(_TIMEOUT_S)

    def push(self) -> bool:
        """Send once; whether the receiver has taken it."""
        now_ns = time.time_ns()
        data = converted(self._registry.collect(), self._resource, "stream_app", self._start_ns, now_ns)
        return self._exporter.export(data) is MetricExportResult.SUCCESS

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                is_sent, why = self.push(), "it refuses them, or does not answer"
            except Exception as error:  # noqa: BLE001 - whatever fails here must not cost a worker
                is_sent, why = False, repr(error)
            self._note(why, is_away=not is_sent and not self._ended.is_set())

    def _note(self, why: str, *, is_away: bool) -> None:
        if is_away and not self._is_away:
            logger.warning(
                "metrics cannot be sent to %s: %s; tried again every %g s, and /metrics has them all the same",
                *(self._where, why, self._every_s),
            )
        elif self._is_away and not is_away:
            logger.info("metrics are sent to %s again", self._where)
        self._is_away = is_away
