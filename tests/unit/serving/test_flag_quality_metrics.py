"""The gauges of how good the flags were: of every role and window, and NaN where nothing is known."""

import math

from prometheus_client import CollectorRegistry

from stream_app.core.flags.flag_quality import FlagQuality, Window
from stream_app.core.messages import Role
from stream_app.serving.flag_quality_metrics import FlagQualityMetrics

NAMES = ("flag_warnings", "flag_precision", "flag_recall", "flag_lead_seconds", "flags_per_standing")


def test_the_gauges_say_what_is_known_when_they_are_asked() -> None:
    registry, measured = CollectorRegistry(), dict[tuple[Role, Window], FlagQuality]()
    FlagQualityMetrics(registry).measures(
        lambda role, window: measured.get((role, window), FlagQuality(role, window, 0, 0, 0, 0, None, 0, 0))
    )
    measured[Role.CONNECTOR, "1d"] = FlagQuality(Role.CONNECTOR, "1d", 20, 13, 10, 7, 3240.0, 60, 30)

    def value(name: str, role: str, window: str) -> float:
        found = registry.get_sample_value(f"influence_{name}", {"role": role, "window": window})
        assert found is not None
        return found

    assert [value(name, "connector", "1d") for name in NAMES] == [20, 0.65, 0.7, 3240, 2]
    assert value("flag_warnings", "maven", "7d") == 0
    assert all(math.isnan(value(name, "maven", "7d")) for name in NAMES[1:])
