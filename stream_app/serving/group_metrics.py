"""The metrics of a worker's place among the others: release, settings, clock."""

import math

from prometheus_client import CollectorRegistry, Counter, Gauge

from stream_app import __version__


class GroupMetrics:
    """Who this worker is, and whether it agrees with the others."""

    def __init__(self, registry: CollectorRegistry, source_topics: tuple[str, ...]) -> None:
        self._build_info = Gauge(
            "influence_build_info",
            "Always 1; the label has the release of this worker.",
            ("version",),
            registry=registry,
        )
        self._settings_info = Gauge(
            "influence_settings_info",
            "Always 1; the label has the version of the settings that decide what is counted and who is flagged.",
            ("digest",),
            registry=registry,
        )
        self._mixed = Gauge(
            "influence_flags_paused",
            "1 while nobody raises flags because workers with different settings are there, else 0.",
            registry=registry,
        )
        self._unheard = Gauge(
            "influence_unheard_partitions",
            "Partitions of which this worker has not heard everything: the cuts that it publishes stand still.",
            registry=registry,
        )
        self._clock_ahead = Gauge(
            "influence_clock_ahead_seconds",
            "This worker's clock less those of Kafka and the other workers (their median); NaN where none is known.",
            registry=registry,
        )
        self._clock_ahead.set(math.nan)
        self._waited = Counter(
            "influence_clock_waits",
            "Batches that were left for later because this worker's clock cannot judge them.",
            ("topic",),
            registry=registry,
        )
        for topic in source_topics:  # a rate needs the series to start at 0
            self._waited.labels(topic)
        self._build_info.labels(__version__).set(1)
        self.counts_by("")

    def counts_by(self, settings_version: str) -> None:
        """The version of the settings of this worker; empty until it is known."""
        self._settings_info.clear()
        self._settings_info.labels(settings_version).set(1)

    def mixed(self, is_mixed: bool) -> None:  # noqa: FBT001 - a gauge is set to it
        """Workers with different settings are there, or no longer."""
        self._mixed.set(is_mixed)

    def unheard(self, partitions: int) -> None:
        """Not everything was heard of so many partitions, or of none."""
        self._unheard.set(partitions)

    def clock_ahead(self, seconds: float) -> None:
        """How far this worker's clock is ahead of the others."""
        self._clock_ahead.set(seconds)

    def waited_for_clock(self, topic: str) -> None:
        """A batch was left for later."""
        self._waited.labels(topic).inc()
