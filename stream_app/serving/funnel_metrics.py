"""The metrics of funnels: what the partitions of this worker counted, of the topics asked for; workers add up."""

from prometheus_client import CollectorRegistry, Gauge

from stream_app.core.queries import FunnelFigures, ScopeName

_LABELS = ("topic", "population")
_HOW = ("recruited", "self_started", "unknown")
_STAGES = ("participants", "advocates", "recruiters")


class FunnelMetrics:
    """What a funnel is measured by, in the registry given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._funnel_scopes: set[ScopeName] = set()
        self._funnel_entries = Gauge(
            "influence_funnel_entries",
            "Entries in the window, by how people came: recruited, self_started or unknown.",
            (*_LABELS, "how"),
            registry=registry,
        )
        self._funnel_new = Gauge(
            "influence_funnel_new_entries",
            "Entries in the window of people who were not known before; all others re-entered.",
            _LABELS,
            registry=registry,
        )
        self._funnel_people = Gauge(
            "influence_funnel_people",
            "People in the window: participants, advocates (others shared theirs), recruiters (an entry names them).",
            (*_LABELS, "stage"),
            registry=registry,
        )
        self._cohort_people = Gauge(
            "influence_funnel_cohort_people",
            "People who first came on the last day for which all recruits are known.",
            _LABELS,
            registry=registry,
        )
        self._cohort_recruits = Gauge(
            "influence_funnel_cohort_recruits",
            "Recruits of those people within the horizon after they came.",
            _LABELS,
            registry=registry,
        )

    def funnels(self, found: dict[ScopeName, FunnelFigures]) -> None:
        """These are the funnels now, and no others."""
        for gone in self._funnel_scopes - found.keys():
            self._remove(gone)
        self._funnel_scopes = {*found}
        for scope, figures in found.items():
            labels = (scope.topic, scope.population)
            for how in _HOW:
                self._funnel_entries.labels(*labels, how).set(getattr(figures, how))
            for stage in _STAGES:
                self._funnel_people.labels(*labels, stage).set(getattr(figures, stage))
            self._funnel_new.labels(*labels).set(figures.new)
            known = [cohort for cohort in figures.cohorts if cohort.r is not None]
            self._cohort_people.labels(*labels).set(known[-1].people if known else 0)
            self._cohort_recruits.labels(*labels).set(known[-1].recruits if known else 0)

    def _remove(self, scope: ScopeName) -> None:
        labels = (scope.topic, scope.population)
        for how in _HOW:
            self._funnel_entries.remove(*labels, how)
        for stage in _STAGES:
            self._funnel_people.remove(*labels, stage)
        for gauge in (self._funnel_new, self._cohort_people, self._cohort_recruits):
            gauge.remove(*labels)
