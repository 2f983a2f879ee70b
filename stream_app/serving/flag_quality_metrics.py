"""The metrics of how good the flags were: worked out when they are asked for, the same at every worker."""

import math
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from stream_app.core.flags.flag_quality import WINDOWS, FlagQuality, Window
from stream_app.core.messages import ROLES, Role

_LABELS = ("role", "window")
_GAUGES: dict[str, tuple[str, Callable[[FlagQuality], float | None]]] = {
    "influence_flag_warnings": (
        "Emerging flags of the last day or week of event time whose outcome is known.",
        lambda found: found.warnings,
    ),
    "influence_flag_precision": (
        "The part of them whose user entered within 12 h; NaN while there are none.",
        lambda found: found.precision,
    ),
    "influence_flag_recall": (
        "The part of those who entered that had an emerging flag within the 12 h before; NaN while nobody entered.",
        lambda found: found.recall,
    ),
    "influence_flag_lead_seconds": (
        "Time from the first emerging flag to the entry, median; NaN while none was foreseen.",
        lambda found: found.lead_s,
    ),
    "influence_flags_per_standing": (
        "Flags of a standing, from the first to the one that ends it, of those that ended, median; NaN while none has.",
        lambda found: found.flags_per_standing,
    ),
}


class FlagQualityMetrics:
    """Of every role, and of the last day and week of event time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._flag_qualities = FlagQualityCollector()
        registry.register(self._flag_qualities)

    def measures(self, quality: Callable[[Role, Window], FlagQuality]) -> None:
        """The gauges are what `quality` says from now on."""
        self._flag_qualities.quality = quality


class FlagQualityCollector(Collector):
    """All gauges at once: a scrape adds up the hours of a role and window once, not for each gauge."""

    def __init__(self) -> None:
        self.quality: Callable[[Role, Window], FlagQuality] = _nothing_known

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The gauges without values."""
        for name, (meaning, _) in _GAUGES.items():
            yield GaugeMetricFamily(name, meaning, labels=_LABELS)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges as they are now."""
        found = [self.quality(role, window) for role in ROLES for window in WINDOWS]
        for gauge, (_, value_of) in zip(self.describe(), _GAUGES.values(), strict=True):
            for one in found:
                value = value_of(one)
                gauge.add_metric((one.role.value, one.window), math.nan if value is None else value)
            yield gauge


def _nothing_known(role: Role, window: Window) -> FlagQuality:
    return FlagQuality(role, window, 0, 0, 0, 0, None, 0, None)
