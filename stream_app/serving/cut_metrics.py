"""The metrics of cuts: those of the topics asked for, for as long as this worker publishes them."""

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

from stream_app.core.events.names import normal_topic
from stream_app.core.messages import Cut, Role
from stream_app.core.queries import ScopeName

MAX_METRIC_TOPICS = 50
MAX_CUTS = 1000
"""Cuts shown at most: populations come with the events, so their number has no other bound."""
_LABELS = ("topic", "population", "role")


class CutMetrics:
    """What a cut is measured by, in the registry given.

    `metric_topics` are the topics (products, hashtags) whose cuts are shown; raises ValueError for more than 50.
    """

    def __init__(self, registry: CollectorRegistry, metric_topics: tuple[str, ...]) -> None:
        if len(metric_topics) > MAX_METRIC_TOPICS:
            raise ValueError(
                f"STREAM_APP_METRIC_TOPICS names {len(metric_topics)} topics; "
                f"name at most {MAX_METRIC_TOPICS}, each one costs several series per population"
            )
        self._metric_topics = frozenset(map(normal_topic, metric_topics))
        self._cut_series: set[tuple[str, str, str]] = set()
        self._cut_threshold = Gauge(
            "influence_cut_threshold",
            "Posts (maven), impressions (connector) or recruits (recruiter) in the window of the last user in the cut.",
            _LABELS,
            registry=registry,
        )
        self._cut_size = Gauge(
            "influence_cut_size",
            "Users in the cut: the fewest who make the share of the total.",
            _LABELS,
            registry=registry,
        )
        self._cut_users_ratio = Gauge(
            "influence_cut_users_ratio",
            "Users in the cut as a fraction of the active users.",
            _LABELS,
            registry=registry,
        )
        self._threshold_low = _bound("influence_cut_threshold", "low", registry)
        self._threshold_high = _bound("influence_cut_threshold", "high", registry)
        self._users_ratio_low = _bound("influence_cut_users_ratio", "low", registry)
        self._users_ratio_high = _bound("influence_cut_users_ratio", "high", registry)
        self._cut_emerging = Gauge(
            "influence_cut_emerging",
            "Users who are not in the cut yet, but on course to it.",
            _LABELS,
            registry=registry,
        )
        self._cuts_omitted = Counter(
            "influence_cuts_omitted",
            f"Cuts not shown here because {MAX_CUTS} others are: shorten STREAM_APP_METRIC_TOPICS "
            "or use fewer populations.",
            registry=registry,
        )

    def cut(self, cut: Cut) -> None:
        """A cut was computed; shown for the configured topics only."""
        labels = (cut.topic, cut.population, cut.role.value)
        if cut.topic not in self._metric_topics:
            return
        if labels not in self._cut_series and len(self._cut_series) >= MAX_CUTS:
            self._cuts_omitted.inc()
            return
        self._cut_series.add(labels)
        self._cut_threshold.labels(*labels).set(cut.threshold)
        self._cut_size.labels(*labels).set(cut.k)
        self._cut_users_ratio.labels(*labels).set(cut.percent_of_users / 100)
        self._cut_emerging.labels(*labels).set(cut.emerging)
        for gauge, bound in (
            (self._threshold_low, cut.threshold_low),
            (self._threshold_high, cut.threshold_high),
            (self._users_ratio_low, cut.percent_of_users_low and cut.percent_of_users_low / 100),
            (self._users_ratio_high, cut.percent_of_users_high and cut.percent_of_users_high / 100),
        ):
            if bound is not None:
                gauge.labels(*labels).set(bound)

    def cut_gone(self, scope: ScopeName, role: Role) -> None:
        """A cut is no longer this worker's to publish, or has no users any more."""
        labels = (scope.topic, scope.population, role.value)
        if labels not in self._cut_series:
            return
        self._cut_series.discard(labels)
        bounds = (self._threshold_low, self._threshold_high, self._users_ratio_low, self._users_ratio_high)
        for gauge in (self._cut_threshold, self._cut_size, self._cut_users_ratio, self._cut_emerging, *bounds):
            gauge.remove(*labels)


def _bound(of: str, side: Literal["low", "high"], registry: CollectorRegistry) -> Gauge:
    place = "begins" if side == "low" else "ends"
    return Gauge(f"{of}_{side}", f"Where the 95 % interval of {of} {place}.", _LABELS, registry=registry)
