"""The Prometheus metrics: what each one means, and one method per thing that happens. Never a user id as a label."""

import math

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from stream_app.core.messages import ROLES, FlagType, Role
from stream_app.core.queries import BatchCounts
from stream_app.core.signals.facts import Signal
from stream_app.serving.cut_metrics import CutMetrics
from stream_app.serving.flag_metrics import FlagMetrics
from stream_app.serving.flag_quality_metrics import FlagQualityMetrics
from stream_app.serving.funnel_metrics import FunnelMetrics
from stream_app.serving.group_metrics import GroupMetrics

RESULTS = ("applied", "duplicate", "late", "rejected", "retracted")
BOUNDS = (
    *("max_unpacked_bytes", "unreadable_batch", "unreadable_record", "hash_index_rounds"),
    *("max_topics_per_event", "max_topics_per_user", "max_scopes"),
    *("dead_letter_bytes", "dead_letters_per_s", "broker_message_bytes"),
    *("http_connections", "http_connections_per_address", "http_head_bytes", "http_head_time", "http_answer_time"),
    *("http_client_time", "http_streams", "peer_answer"),
)
"""Bounds whose series exist from the start."""
BATCH_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
LATENCY_BUCKETS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)


class Metrics(CutMetrics, FlagMetrics, FlagQualityMetrics, FunnelMetrics, GroupMetrics):
    """Every metric of one worker, in the registry given.

    `source_topics` are the Kafka topics that are read; `metric_topics` the topics (products, hashtags) whose cuts are
    shown. Raises ValueError for more than 50 of those.
    """

    def __init__(
        self, registry: CollectorRegistry, source_topics: tuple[str, ...], metric_topics: tuple[str, ...]
    ) -> None:
        CutMetrics.__init__(self, registry, metric_topics)
        FlagMetrics.__init__(self, registry)
        FlagQualityMetrics.__init__(self, registry)
        FunnelMetrics.__init__(self, registry)
        GroupMetrics.__init__(self, registry, source_topics)
        self._lag_series: set[tuple[str, int]] = set()
        self._make_input_metrics(registry, source_topics)
        self._make_flag_metrics(registry)
        self._make_state_metrics(registry)
        self._make_redis_metrics(registry)
        self._bound_hits = Counter(
            "influence_bound_hits",
            "Times that a bound was met, and something left out, shortened or ended because of it.",
            ("bound",),
            registry=registry,
        )
        for bound in BOUNDS:  # a rate needs the series to start at 0
            self._bound_hits.labels(bound)

    def read(self, topic: str, n: int) -> None:
        """Records of the Kafka topic were handed to counting."""
        self._read.labels(topic).inc(n)

    def batch(self, topic: str, counts: BatchCounts, seconds: float) -> None:
        """A batch of the Kafka topic was counted."""
        for result in RESULTS:
            self._events.labels(topic, result).inc(getattr(counts, result))
        self._unknown_audience.inc(counts.unknown)
        self._batches.labels(topic).inc()
        self._batch_seconds.labels(topic).observe(seconds)

    def skipped(self, topic: str, n: int) -> None:
        """Records of the Kafka topic came again although the ledger had counted them already."""
        self._skipped.labels(topic).inc(n)

    def misrouted(self, n: int) -> None:
        """Records had a key or partition that does not belong to their user."""
        self._misrouted.inc(n)

    def erased(self, n: int) -> None:
        """Records of people who were erased came, and were rejected."""
        self._erased.inc(n)

    def unknown_retractions(self, n: int) -> None:
        """Retractions came of events that had not come, or are older than the window."""
        self._unknown_retractions.inc(n)

    def lag(self, topic: str, partition: int, records: int, seconds: float) -> None:
        """How far counting is behind the end of a partition."""
        self._lag_series.add((topic, partition))
        self._lag_records.labels(topic, str(partition)).set(records)
        self._lag_seconds.labels(topic, str(partition)).set(seconds)

    def partition_revoked(self, partition: int) -> None:
        """The partition of every topic went to another worker: its lag is no longer ours to show."""
        for topic, gone in [series for series in self._lag_series if series[1] == partition]:
            self._lag_series.discard((topic, gone))
            self._lag_records.remove(topic, str(gone))
            self._lag_seconds.remove(topic, str(gone))

    def watermark_delay(self, seconds: float) -> None:
        """How far event time is behind the wall clock."""
        self._watermark_delay.set(seconds)

    def flags(self, type: FlagType, role: Role, n: int) -> None:  # noqa: A002 - the name of the field and of the label
        """Flags were written to Kafka."""
        self._flags.labels(type.value, role.value).inc(n)

    def flag_latency(self, seconds: float) -> None:
        """Time from the event on Kafka to its flag on Kafka."""
        self._flag_latency.observe(seconds)

    def active_users(self, n: int) -> None:
        """Users with at least one event in the window."""
        self._active_users.set(n)

    def marked_users(self, signal: Signal, n: int) -> None:
        """Users about whom a signal has a fact."""
        self._marked_users.labels(signal.value).set(n)

    def rows(self, n: int) -> None:
        """Rows (user within topic and population) in memory."""
        self._rows.set(n)

    def segments(self, n: int) -> None:
        """Segments in the table."""
        self._segments.set(n)

    def state_bytes(self, n: int) -> None:
        """Bytes that the ledgers hold, and their segments in the table."""
        self._state_bytes.set(n)

    def rebalance(self) -> None:
        """The assignment of partitions changed."""
        self._rebalances.inc()

    def recovery(self, seconds: float) -> None:
        """Partitions that were assigned are being counted `seconds` later."""
        self._recovery_seconds.set(seconds)

    def recovery_remaining(self, records: int) -> None:
        """Records of the changelogs that a recovery under way has still to read."""
        self._recovery_remaining.set(records)

    def redis_up(self, up: bool) -> None:  # noqa: FBT001 - a gauge is set to it
        """Redis answers, or no longer does."""
        self._redis_up.set(up)

    def flags_dropped(self, n: int) -> None:
        """Flags will never be in the Redis stream."""
        self._flags_dropped.inc(n)

    def bound_hit(self, bound: str, count: int = 1) -> None:
        """A bound of what is read, kept or written was met, and something left out or shortened because of it."""
        self._bound_hits.labels(bound).inc(count)

    def _make_input_metrics(self, registry: CollectorRegistry, source_topics: tuple[str, ...]) -> None:
        self._read = Counter(
            "influence_read_records",
            "Records read from a Kafka topic, counted before anything is done with them: always those skipped and "
            "those in influence_events_total.",
            ("topic",),
            registry=registry,
        )
        self._events = Counter(
            "influence_events",
            "Records read from a Kafka topic, by what became of them: applied = counted, duplicate = event_id seen "
            "before, late = older than the window, rejected = unusable and copied to the dead letters, retracted = "
            "taken back before it came.",
            ("topic", "result"),
            registry=registry,
        )
        self._skipped = Counter(
            "influence_skipped_records",
            "Records delivered again after a restart or rebalance and skipped, because they were counted already.",
            ("topic",),
            registry=registry,
        )
        self._batches = Counter("influence_batches", "Batches counted, by Kafka topic.", ("topic",), registry=registry)
        self._batch_seconds = Histogram(
            "influence_batch_seconds",
            "Time to decode, count and store one batch, by Kafka topic.",
            ("topic",),
            buckets=BATCH_BUCKETS_S,
            registry=registry,
        )
        self._unknown_audience = Counter(
            "influence_unknown_audience_events",
            "Events without a usable audience: their post is counted, their impressions are unknown.",
            registry=registry,
        )
        self._misrouted = Counter(
            "influence_misrouted_records",
            "Records whose key is not their user or whose partition is not the key's: make the producer key by user_id "
            "with Kafka's default partitioner.",
            registry=registry,
        )
        self._erased = Counter(
            "influence_erased_records",
            "Records of people who were erased: rejected, and not copied to the dead letters.",
            registry=registry,
        )
        self._unknown_retractions = Counter(
            "influence_unknown_retractions",
            "Retractions of events that had not come: they come later, or are older than the window.",
            registry=registry,
        )
        self._lag_records = Gauge(
            "influence_lag_records",
            "Records in a partition that are not counted yet.",
            ("topic", "partition"),
            registry=registry,
        )
        self._lag_seconds = Gauge(
            "influence_lag_seconds",
            "Age of the oldest record in a partition that is not counted yet; 0 when there is none.",
            ("topic", "partition"),
            registry=registry,
        )
        for topic in source_topics:  # a rate needs the series to start at 0
            for result in RESULTS:
                self._events.labels(topic, result)
            for metric in (self._read, self._skipped, self._batches, self._batch_seconds):
                metric.labels(topic)
        self._watermark_delay = Gauge(
            "influence_watermark_delay_seconds",
            "Wall clock minus the event time reached: large when the events themselves are old.",
            registry=registry,
        )

    def _make_flag_metrics(self, registry: CollectorRegistry) -> None:
        self._flags = Counter("influence_flags", "Flags written to Kafka.", ("type", "role"), registry=registry)
        for flag_type in FlagType:  # a rate needs the series to start at 0
            for role in ROLES:
                self._flags.labels(flag_type.value, role.value)
        self._flag_latency = Histogram(
            "influence_flag_latency_seconds",
            "Time from an event's arrival on Kafka to the flag it caused on Kafka.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )

    def _make_state_metrics(self, registry: CollectorRegistry) -> None:
        self._active_users = Gauge(
            "influence_active_users",
            "Users of this worker's partitions with an event in the window.",
            registry=registry,
        )
        self._marked_users = Gauge(
            "influence_marked_users",
            "Users of this worker's partitions about whom a signal has a fact, as of the last minute.",
            ("signal",),
            registry=registry,
        )
        self._rows = Gauge(
            "influence_rows", "Rows in memory: one per user, topic and population in the window.", registry=registry
        )
        self._segments = Gauge(
            "influence_segments", "Segments that this worker's ledgers consist of.", registry=registry
        )
        self._state_bytes = Gauge(
            "influence_state_bytes", "Bytes that the ledgers hold, and these segments in the log.", registry=registry
        )
        self._rebalances = Counter(
            "influence_rebalances", "Times this worker's assignment of partitions changed.", registry=registry
        )
        self._recovery_remaining = Gauge(
            "influence_recovery_remaining_records",
            "Records of the changelogs that a recovery under way has still to read.",
            registry=registry,
        )
        self._recovery_seconds = Gauge(
            "influence_recovery_seconds",
            "Time the last recovery took: from the assignment of partitions to their ledgers rebuilt, and counting.",
            registry=registry,
        )

    def _make_redis_metrics(self, registry: CollectorRegistry) -> None:
        self._redis_up = Gauge(
            "influence_redis_up",
            "1 while the Redis board is being refreshed, 0 while Redis fails, NaN where there is none.",
            registry=registry,
        )
        self._redis_up.set(math.nan)
        self._flags_dropped = Counter(
            "influence_flags_dropped",
            "Flags missing from the Redis stream because Redis was down too long; Kafka has them all.",
            registry=registry,
        )


def render(registry: CollectorRegistry) -> tuple[bytes, str]:
    """(body, content type) in the text format that every Prometheus reads."""
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
