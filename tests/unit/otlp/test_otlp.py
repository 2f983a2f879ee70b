"""Metrics by OTLP: the receiver gets what /metrics shows; one that is away is logged once and costs nothing."""

import gzip
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from stream_app.core.messages import FlagType, Role
from stream_app.extras import MissingExtraError
from stream_app.otlp import require_otlp, start_otlp
from stream_app.serving.metrics import Metrics
from stream_app.settings import Settings, SettingsError, load
from stream_app.settings.secret import Secret, SecretUrl
from tests.waiting import eventually

protobuf = pytest.importorskip(
    "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2", reason="needs the extra [otlp]: make setup"
)
from stream_app.otlp.pusher import OtlpPusher  # noqa: E402 - imports the extra

TOKEN = "planted-token-long-enough"
WAIT_S = 20.0


class Receiver(HTTPServer):
    """An OTLP/HTTP receiver: keeps the messages, and answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.messages: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200

    @property
    def url(self) -> SecretUrl:
        return SecretUrl(f"http://127.0.0.1:{self.server_port}/v1/metrics")


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.headers.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
        self.server.messages.append(protobuf.ExportMetricsServiceRequest.FromString(body))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Counter("influence_events", "events", ["topic", "result"], registry=made).labels("posts", "applied").inc(7)
    Gauge("influence_rows", "rows", registry=made).set(3.5)
    Gauge("influence_redis_up", "unknown", registry=made).set(float("nan"))
    histogram = Histogram("influence_batch_seconds", "seconds", ["topic"], buckets=(0.1, 1.0), registry=made)
    for seconds in (0.05, 0.5, 0.6, 5.0):
        histogram.labels("posts").observe(seconds)
    return made


def pushed(receiver: Receiver, registry: CollectorRegistry, **given: Any) -> dict[str, Any]:
    """The metrics of the one message, by name."""
    pusher = OtlpPusher(Settings(otlp_url=receiver.url, **given), registry, "stream-app-worker")
    assert pusher.push()
    (message,) = receiver.messages
    (resource,) = message.resource_metrics
    (scope,) = resource.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


def test_the_receiver_gets_the_names_labels_and_values_of_metrics(
    receiver: Receiver, registry: CollectorRegistry
) -> None:
    found = pushed(receiver, registry)
    assert sorted(found) == ["influence_batch_seconds", "influence_events_total", "influence_rows"]
    events = found["influence_events_total"].sum
    assert (events.is_monotonic, events.aggregation_temporality) == (True, 2)  # 2: cumulative
    (point,) = events.data_points
    assert point.as_double == 7
    assert {each.key: each.value.string_value for each in point.attributes} == {"topic": "posts", "result": "applied"}
    assert 0 < point.start_time_unix_nano <= point.time_unix_nano
    (rows,) = found["influence_rows"].gauge.data_points
    assert rows.as_double == 3.5
    (batches,) = found["influence_batch_seconds"].histogram.data_points
    assert list(batches.explicit_bounds) == [0.1, 1.0]
    assert list(batches.bucket_counts) == [1, 2, 1]
    assert (batches.count, batches.sum) == (4, pytest.approx(6.15))
    assert not batches.HasField("min")


def test_every_metric_of_a_worker_can_be_sent(receiver: Receiver) -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry, ("posts", "shares"), ("*",))
    metrics.flags(FlagType.ENTERED, Role.MAVEN, 2)
    found = pushed(receiver, registry)
    known = {family.name for family in registry.collect()}
    assert {name.removesuffix("_total") for name in found} <= {name.removesuffix("_total") for name in known}
    assert len(found) > 10
    assert "influence_flags_total" in found


def test_the_message_says_who_sends_it_and_carries_the_token(receiver: Receiver, registry: CollectorRegistry) -> None:
    pushed(receiver, registry, otlp_token=Secret(TOKEN), app_id="acme")
    (headers,) = receiver.headers
    assert headers["path"] == "/v1/metrics"
    assert headers["authorization"] == f"Bearer {TOKEN}"
    attributes = receiver.messages[0].resource_metrics[0].resource.attributes
    resource = {each.key: each.value.string_value for each in attributes}
    assert (resource["service.name"], resource["service.namespace"]) == ("stream-app-worker", "acme")
    assert {"service.version", "service.instance.id"} <= resource.keys()


def test_a_receiver_that_is_away_is_logged_once_and_so_is_its_return(
    receiver: Receiver, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    receiver.status = 400
    pusher = OtlpPusher(Settings(otlp_url=receiver.url, otlp_every_s=0.05), registry, "stream-app-worker")
    pusher.start()
    try:
        assert eventually(lambda: len(receiver.messages) >= 4, WAIT_S)
        receiver.status = 200
        assert eventually(lambda: any("again" in text and "are sent" in text for text in caplog.messages), WAIT_S)
    finally:
        pusher.stop()
    own = [record.getMessage() for record in caplog.records if record.name == "stream_app.otlp.pusher"]
    assert len(own) == 2
    assert own[0].startswith(f"metrics cannot be sent to {receiver.url}")


def test_nobody_listening_costs_a_bounded_time(registry: CollectorRegistry) -> None:
    settings = Settings(otlp_url=SecretUrl("http://127.0.0.1:1/v1/metrics"), otlp_every_s=0.2)
    assert not OtlpPusher(settings, registry, "stream-app-worker").push()


def test_nothing_is_started_unless_it_is_asked_for(registry: CollectorRegistry) -> None:
    before = threading.active_count()
    start_otlp(Settings(), registry, "stream-app-worker")
    assert threading.active_count() == before


def test_what_is_missing_or_wrong_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_app.extras.find_spec", lambda _module: None)
    require_otlp(Settings())
    with pytest.raises(MissingExtraError, match=r"pip install 'stream-app\[otlp\]'"):
        require_otlp(msgspec.structs.replace(Settings(), otlp_url=SecretUrl("http://127.0.0.1:4318/v1/metrics")))
    with pytest.raises(SettingsError, match="otlp_url must begin with http"):
        load({"STREAM_APP_OTLP_URL": "127.0.0.1:4317"})
