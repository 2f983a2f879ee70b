"""The metrics of funnels: the partitions of a worker added up, of some topics, as far as may be said."""

from collections.abc import Mapping
from typing import Any
from unittest.mock import Mock

import pytest
from prometheus_client import CollectorRegistry

from stream_app.core.funnel.funnel import FunnelSettings
from stream_app.core.privacy.min_group import Disclosure
from stream_app.core.queries import FunnelQueries
from stream_app.core.queries.funnels import BothStages
from stream_app.serving import funnel_feed
from stream_app.serving.funnel_feed import FunnelFeed
from stream_app.serving.funnel_metrics import FunnelMetrics
from tests.unit.core.funnel.naive_funnel import naive_funnel
from tests.unit.core.funnel.partitions_of_funnel import FunnelPartitions
from tests.unit.serving.api.funnel.test_funnel_answers import DAY, GAP_MS, HORIZON_MS, PANE_MS, events

PARTITIONS = 3


class Measured:
    """The registry of a worker that keeps some partitions."""

    def __init__(self, held: Mapping[int, BothStages], disclosure: Disclosure = Disclosure()) -> None:  # noqa: B008 - it is frozen
        self.registry = CollectorRegistry()
        self.held = held
        queries = FunnelQueries(partitions=lambda: self.held, gap_s=1.0, horizon_s=1.0)
        scopes = Mock(panes=range(96), disclosure=disclosure)
        state: Any = Mock(partitions=sorted(held), scopes=scopes, funnels=queries)
        self.feed = FunnelFeed(state, FunnelMetrics(self.registry), ["#Coffee", "tea"])

    def value(self, name: str, topic: str = "coffee", **labels: str) -> float | None:
        of = {"topic": topic, "population": "all", **labels}
        return self.registry.get_sample_value(f"influence_funnel_{name}", of)


def counted() -> dict[int, BothStages]:
    parts = FunnelPartitions(PARTITIONS, FunnelSettings(PANE_MS, GAP_MS), HORIZON_MS)
    actions = events()
    parts.add(actions)
    parts.decide(max(action.ts_ms for action in actions) + PANE_MS)
    return dict(enumerate(parts.parts))


async def test_the_partitions_of_a_worker_are_added_up_of_the_topics_asked_for() -> None:
    measured, naive = Measured(counted()), naive_funnel(events(), GAP_MS)["coffee"]
    await measured.feed.refresh()
    new, _, recruited, self_started, unknown, participants, advocates, recruiters = naive.stages()
    hows = [measured.value("entries", how=how) for how in ("recruited", "self_started", "unknown")]
    assert hows == [recruited, self_started, unknown]
    assert measured.value("new_entries") == new
    stages = [measured.value("people", stage=stage) for stage in ("participants", "advocates", "recruiters")]
    assert stages == [participants, advocates, recruiters]
    cohort = [measured.value("cohort_people"), measured.value("cohort_recruits")]
    assert cohort == [*naive.cohort(DAY, HORIZON_MS)]
    assert measured.value("new_entries", "tea") is not None
    assert measured.value("new_entries", "*") is None


async def test_a_funnel_that_is_no_more_here_is_not_shown() -> None:
    measured = Measured(counted())
    await measured.feed.refresh()
    measured.held = {}
    await measured.feed.refresh()
    assert [sample for family in measured.registry.collect() for sample in family.samples] == []


async def test_of_too_few_people_nothing_is_shown_and_others_are_counted_in_steps() -> None:
    measured = Measured(counted(), Disclosure(min_group=5))
    await measured.feed.refresh()
    samples = [sample for family in measured.registry.collect() for sample in family.samples]
    assert {sample.labels["topic"] for sample in samples} == {"coffee"}
    assert samples
    assert all(sample.value % 5 == 0 for sample in samples)


async def test_series_are_bounded_however_many_populations_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(funnel_feed, "MAX_FUNNELS", 1)
    measured = Measured(counted())
    await measured.feed.refresh()
    samples = [sample for family in measured.registry.collect() for sample in family.samples]
    assert len({(sample.labels["topic"], sample.labels["population"]) for sample in samples}) == 1
