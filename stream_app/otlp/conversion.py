"""Converts what Prometheus would scrape to the data model of OpenTelemetry. Names and labels stay as they are."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import inf, isnan
from typing import Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import Metric as Family

Labels = tuple[tuple[str, str], ...]
_UNKNOWN: Any = None
"""Optional in the protocol, though not in the types of the SDK."""


def converted(families: Iterable[Family], resource: Resource, scope: str, start_ns: int, now_ns: int) -> MetricsData:
    """All families as one message. Values that are not known (NaN) are left out."""
    metrics = [metric for family in families if (metric := _metric(family, start_ns, now_ns)) is not None]
    scoped = ScopeMetrics(InstrumentationScope(scope), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scoped], "")])


def _metric(family: Family, start_ns: int, now_ns: int) -> Metric | None:
    if family.type == "histogram":
        histograms = list(_histograms(family, start_ns, now_ns))
        data = Histogram(histograms, AggregationTemporality.CUMULATIVE)
        return Metric(family.name, family.documentation, "", data) if histograms else None
    is_sum = family.type == "counter"
    name = f"{family.name}_total" if is_sum else family.name
    points = [
        NumberDataPoint(dict(sample.labels), start_ns if is_sum else 0, now_ns, sample.value)
        for sample in family.samples
        if sample.name == name and not isnan(sample.value)
    ]
    if not points:
        return None
    if is_sum:
        return Metric(name, family.documentation, "", Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True))
    return Metric(name, family.documentation, "", Gauge(points))


def _histograms(family: Family, start_ns: int, now_ns: int) -> Iterator[HistogramDataPoint]:
    buckets: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
    sums: dict[Labels, float] = {}
    for sample in family.samples:
        labels = tuple(sorted((name, text) for name, text in sample.labels.items() if name != "le"))
        if sample.name == f"{family.name}_bucket":
            buckets[labels].append((float(sample.labels["le"]), sample.value))
        elif sample.name == f"{family.name}_sum":
            sums[labels] = sample.value
    for labels, found in buckets.items():
        ordered = sorted(found)
        up_to = [round(count) for _, count in ordered]
        counts = [count - below for count, below in zip(up_to, [0, *up_to], strict=False)]
        yield HistogramDataPoint(
            attributes=dict(labels),
            start_time_unix_nano=start_ns,
            time_unix_nano=now_ns,
            count=up_to[-1],
            sum=sums.get(labels, 0.0),
            bucket_counts=counts,
            explicit_bounds=[bound for bound, _ in ordered if bound < inf],
            min=_UNKNOWN,
            max=_UNKNOWN,
        )
