"""The metrics of why flags were raised: of all flags, whichever worker raised them."""

from prometheus_client import CollectorRegistry, Counter

from stream_app.core.messages import Flag, FlagType, Reason

_LOST = (Reason.UNDER_THRESHOLD, Reason.TOO_LITTLE_EVIDENCE, Reason.NO_LONGER_RANKED)
_REASONS = {
    FlagType.EMERGING: (Reason.ACCELERATING, Reason.AT_THE_DOOR, Reason.NEARLY_RANKED),
    FlagType.ENTERED: (Reason.ROSE, Reason.THRESHOLD_FELL, Reason.NEWLY_RANKED, Reason.BACK_OVER_THRESHOLD),
    FlagType.FADING: _LOST,
    FlagType.LEFT: (*_LOST, Reason.SLOWED_DOWN),
}
"""Those whose series exist from the start."""


class FlagMetrics:
    """Flags as this worker reads them from Kafka: every worker counts all."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._flags_seen = Counter(
            "influence_flags_seen",
            "Flags of all workers since this one began, by why they were raised: the same at every worker.",
            ("type", "reason"),
            registry=registry,
        )
        for flag_type, reasons in _REASONS.items():  # a rate needs the series to start at 0
            for reason in reasons:
                self._flags_seen.labels(flag_type.value, reason.value)

    def flag_seen(self, flag: Flag) -> None:
        """A flag came; one of an earlier release has no reason."""
        self._flags_seen.labels(flag.type.value, flag.reason.value if flag.reason else "unknown").inc()
