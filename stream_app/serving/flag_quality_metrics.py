"""The metrics of how good the flags were: worked out when they are asked for, the same at every worker."""

import math
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from stream_app.core.flags.flag_quality import WINDOWS, FlagQuality, Window
from stream_app.core.messages import ROLES, Role

_LABELS = ("role", "window")


class FlagQualityMetrics:
    """Of every role, and of the last day and week of event time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._flag_warnings = Gauge(
            "influence_flag_warnings",
            "Emerging flags of the last day or week of event time whose outcome is known.",
            _LABELS,
            registry=registry,
        )
        self._flag_precision = Gauge(
            "influence_flag_precision",
            "The part of them whose user entered within 12 h; NaN while there are none.",
            _LABELS,
            registry=registry,
        )
        self._flag_recall = Gauge(
            "influence_flag_recall",
            "The part of those who entered that had an emerging flag within the 12 h before; NaN while nobody entered.",
            _LABELS,
            registry=registry,
        )
        self._flag_lead = Gauge(
            "influence_flag_lead_seconds",
            "Time from the first emerging flag to the entry, median; NaN while none was foreseen.",
            _LABELS,
            registry=registry,
        )
        self._flags_per_standing = Gauge(
            "influence_flags_per_standing",
            "Flags of all types over the standings that ended; NaN while none has.",
            _LABELS,
            registry=registry,
        )
        self.measures(lambda role, window: FlagQuality(role, window, 0, 0, 0, 0, None, 0, 0))

    def measures(self, quality: Callable[[Role, Window], FlagQuality]) -> None:
        """The gauges are what `quality` says from now on."""
        gauges: tuple[tuple[Gauge, Callable[[FlagQuality], float | None]], ...] = (
            (self._flag_warnings, lambda found: found.warnings),
            (self._flag_precision, lambda found: found.precision),
            (self._flag_recall, lambda found: found.recall),
            (self._flag_lead, lambda found: found.lead_s),
            (self._flags_per_standing, lambda found: found.flags_per_standing),
        )

        def show(gauge: Gauge, value_of: Callable[[FlagQuality], float | None], role: Role, window: Window) -> None:
            def value() -> float:
                found = value_of(quality(role, window))
                return math.nan if found is None else found

            gauge.labels(role.value, window).set_function(value)

        for gauge, value_of in gauges:
            for role in ROLES:
                for window in WINDOWS:
                    show(gauge, value_of, role, window)
