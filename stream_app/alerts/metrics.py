"""The metrics of the process that delivers. Labels name sinks of the alerts file, never users or URLs."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS_S = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600)
DELIVERED, UNDELIVERED = "delivered", "undelivered"
HELD = ("cooldown", "limit", "quiet", "repeat", "too old")
"""Why a flag that matches a rule is not sent at once."""
BOUNDS = ("http_connections", "http_request_time", "open_files")
"""Of the port with metrics and probes."""


class AlertMetrics:
    """The metrics of one process; all series exist from the start."""

    def __init__(self, registry: CollectorRegistry, sinks: list[str]) -> None:
        self.active = Gauge(
            "influence_alerts_active", "1 while this instance delivers, 0 while it stands by", registry=registry
        )
        self.deliveries = Counter(
            "influence_alerts_deliveries",
            "messages with a final result, by sink and result: delivered, undelivered",
            ("sink", "result"),
            registry=registry,
        )
        self.retries = Counter(
            "influence_alerts_retries", "attempts that failed and will be repeated", ("sink",), registry=registry
        )
        self.waiting = Gauge(
            "influence_alerts_waiting", "messages that a sink has not received yet", ("sink",), registry=registry
        )
        self.oldest = Gauge(
            "influence_alerts_oldest_seconds",
            "age of the oldest message that a sink has not received yet",
            ("sink",),
            registry=registry,
        )
        self.held = Counter(
            "influence_alerts_held",
            "flags that match a rule and are not sent at once, by reason",
            ("reason",),
            registry=registry,
        )
        self.unreadable = Counter(
            "influence_alerts_unreadable",
            "records of the state that no instance of this release can have written, and that are left out",
            registry=registry,
        )
        self.seconds = Histogram(
            "influence_alerts_delivery_seconds",
            "time from a flag to its delivery, for messages that were not held back",
            ("sink",),
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self.bounds_hit = Counter(
            "influence_alerts_bound_hits",
            "times that a bound refused, cut or ended something, by the bound",
            ("bound",),
            registry=registry,
        )
        for bound in BOUNDS:
            self.bounds_hit.labels(bound)
        for sink in sinks:
            self.waiting.labels(sink).set(0)
            self.oldest.labels(sink).set(0)
            self.retries.labels(sink)
            self.seconds.labels(sink)
            for result in (DELIVERED, UNDELIVERED):
                self.deliveries.labels(sink, result)
        for reason in HELD:
            self.held.labels(reason)

    def bound_hit(self, bound: str, count: int = 1) -> None:
        """A bound refused, cut or ended something."""
        self.bounds_hit.labels(bound).inc(count)
