"""The values of the Prometheus metrics after each event."""

import math

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from stream_app.core.funnel.funnel_sums import FunnelSums
from stream_app.core.messages import Cut, FlagType, Reason, Role
from stream_app.core.queries import ScopeFunnel
from stream_app.core.signals.facts import Signal
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import BatchCounts
from stream_app.serving.cut_metrics import MAX_CUTS
from stream_app.serving.metrics import Metrics, render
from tests.board_samples import a_cut, a_flag

INPUTS = ("influence.posts", "influence.shares")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry, INPUTS, ("*", "#Tea"))


def _series(registry: CollectorRegistry, name: str) -> list[dict[str, str]]:
    return [sample.labels for family in registry.collect() for sample in family.samples if sample.name == name]


def test_a_batch_is_counted_by_result_with_every_result_present(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.batch("influence.posts", BatchCounts(7, 0, 2, 0, 3), 0.03)
    metrics.batch("influence.posts", BatchCounts(1, 0, 0, 0, 0), 0.01)

    def events(result: str) -> float | None:
        return registry.get_sample_value("influence_events_total", {"topic": "influence.posts", "result": result})

    assert [events(result) for result in ("applied", "duplicate", "late", "rejected")] == [8, 0, 2, 0]
    assert registry.get_sample_value("influence_batches_total", {"topic": "influence.posts"}) == 2
    assert registry.get_sample_value("influence_batch_seconds_sum", {"topic": "influence.posts"}) == pytest.approx(0.04)


def test_the_counters_of_an_input_topic_start_at_zero(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Prometheus would else miss the first records, and could not distinguish no input from no worker."""
    names = ("influence_read_records_total", "influence_skipped_records_total", "influence_batches_total")
    for name in names:
        assert [registry.get_sample_value(name, {"topic": topic}) for topic in INPUTS] == [0, 0]
    assert len(_series(registry, "influence_events_total")) == 10
    assert len(_series(registry, "influence_batch_seconds_count")) == 2


def test_flags_are_counted_by_reason_and_the_reasons_of_each_type_start_at_zero(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    assert len(_series(registry, "influence_flags_seen_total")) == 14
    emerging = msgspec.structs.replace(a_flag(), reason=Reason.AT_THE_DOOR)
    for flag in (emerging, emerging, msgspec.structs.replace(emerging, reason=None)):
        metrics.flag_seen(flag)

    def seen(reason: str) -> float | None:
        return registry.get_sample_value("influence_flags_seen_total", {"type": "emerging", "reason": reason})

    assert [seen(reason) for reason in ("at_the_door", "unknown", "accelerating")] == [2, 1, 0]


def test_records_read_are_those_skipped_and_those_that_something_became_of(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    metrics.read("influence.posts", 9)
    metrics.skipped("influence.posts", 2)
    metrics.batch("influence.posts", BatchCounts(4, 1, 1, 1, 0), 0.01)
    names = ("influence_read_records_total", "influence_skipped_records_total", "influence_events_total")
    read, skipped, counted = (
        sum(sample.value for family in registry.collect() for sample in family.samples if sample.name == name)
        for name in names
    )
    assert (read, read - skipped - counted) == (9, 0)


def test_every_kind_of_flag_starts_at_zero(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.flags(FlagType.EMERGING, Role.MAVEN, 1)
    assert len(_series(registry, "influence_flags_total")) == len(FlagType) * len(Role)
    assert registry.get_sample_value("influence_flags_total", {"type": "emerging", "role": "maven"}) == 1
    assert registry.get_sample_value("influence_flags_total", {"type": "left", "role": "connector"}) == 0


def test_flag_latency_is_a_histogram_from_50_ms_to_30_s(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.flag_latency(0.7)
    bounds = [float(labels["le"]) for labels in _series(registry, "influence_flag_latency_seconds_bucket")]
    assert (bounds[0], bounds[-2]) == (0.05, 30.0)
    assert registry.get_sample_value("influence_flag_latency_seconds_bucket", {"le": "0.5"}) == 0
    assert registry.get_sample_value("influence_flag_latency_seconds_bucket", {"le": "1.0"}) == 1


def test_the_lag_of_a_revoked_partition_is_no_longer_shown(registry: CollectorRegistry, metrics: Metrics) -> None:
    for topic in ("influence.posts", "influence.shares"):
        for partition in (1, 11):
            metrics.lag(topic, partition, 5, 0.5)
    metrics.partition_revoked(1)
    metrics.partition_revoked(2)
    for name in ("influence_lag_records", "influence_lag_seconds"):
        assert {labels["partition"] for labels in _series(registry, name)} == {"11"}
        assert len(_series(registry, name)) == 2


def test_a_cut_is_shown_for_configured_topics_only(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.cut(a_cut("tea"))
    metrics.cut(a_cut("coffee"))
    labels = {"topic": "tea", "population": "all", "role": "connector"}
    assert registry.get_sample_value("influence_cut_threshold", labels) == 120
    assert registry.get_sample_value("influence_cut_size", labels) == 62
    assert registry.get_sample_value("influence_cut_users_ratio", labels) == pytest.approx(0.062)
    assert registry.get_sample_value("influence_cut_emerging", labels) == 1
    assert _series(registry, "influence_cut_threshold") == [labels]
    assert _series(registry, "influence_cut_threshold_low") == [], "no interval is known"


def _with_intervals(cut: Cut) -> Cut:
    percent = {"percent_of_users_low": 4.5, "percent_of_users_high": 8.0}
    return msgspec.structs.replace(cut, **percent, threshold_low=90, threshold_high=160)


def test_a_cut_is_shown_with_its_intervals(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.cut(_with_intervals(a_cut("tea")))
    labels = {"topic": "tea", "population": "all", "role": "connector"}
    bounds = [f"influence_cut_{name}_{side}" for name in ("users_ratio", "threshold") for side in ("low", "high")]
    assert [registry.get_sample_value(name, labels) for name in bounds] == pytest.approx([0.045, 0.08, 90, 160])
    metrics.cut_gone(ScopeName("all", "tea"), Role.CONNECTOR)
    assert [_series(registry, name) for name in bounds] == [[]] * 4


def test_a_cut_that_is_no_longer_published_here_is_no_longer_shown(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    metrics.cut(a_cut("tea"))
    metrics.cut(a_cut("*"))
    for topic in ("tea", "tea", "coffee"):
        metrics.cut_gone(ScopeName("all", topic), Role.CONNECTOR)
    cuts = [family for family in registry.collect() if family.name.startswith("influence_cut_")]
    assert [[sample.labels["topic"] for sample in family.samples] for family in cuts if family.samples] == 4 * [["*"]]


def test_populations_without_end_do_not_make_series_without_end(registry: CollectorRegistry, metrics: Metrics) -> None:
    for number in range(MAX_CUTS + 3):
        metrics.cut(a_cut("tea", population=f"p{number}"))
    metrics.cut(a_cut("tea", population="p0", k=1))
    assert len(_series(registry, "influence_cut_size")) == MAX_CUTS
    assert registry.get_sample_value("influence_cuts_omitted_total") == 3
    metrics.cut_gone(ScopeName("p0", "tea"), Role.CONNECTOR)
    metrics.cut(a_cut("tea", population=f"p{MAX_CUTS}"))
    assert len(_series(registry, "influence_cut_size")) == MAX_CUTS
    assert registry.get_sample_value("influence_cuts_omitted_total") == 3


def test_more_topics_than_prometheus_should_hold_are_refused(registry: CollectorRegistry) -> None:
    with pytest.raises(ValueError, match="STREAM_APP_METRIC_TOPICS"):
        Metrics(registry, INPUTS, tuple(f"t{number}" for number in range(51)))


def _let_everything_happen(metrics: Metrics) -> None:
    metrics.read("influence.posts", 3)
    metrics.batch("influence.posts", BatchCounts(1, 0, 0, 0, 3), 0.1)
    metrics.skipped("influence.posts", 2)
    metrics.misrouted(4)
    metrics.bound_hit("dead_letter_bytes", 2)
    metrics.lag("influence.posts", 0, 5, 0.5)
    metrics.watermark_delay(6.0)
    metrics.flags(FlagType.LEFT, Role.MAVEN, 1)
    metrics.flag_latency(0.7)
    metrics.active_users(8)
    metrics.marked_users(Signal.REGULAR, 2)
    metrics.rows(9)
    metrics.segments(10)
    metrics.state_bytes(11)
    metrics.rebalance()
    metrics.bound_hit("test")
    metrics.recovery(1.2)
    metrics.cut(_with_intervals(a_cut("tea")))
    metrics.funnels({ScopeName("all", "tea"): ScopeFunnel(FunnelSums(), {}, 0).figures()})
    metrics.redis_up(True)
    metrics.flags_dropped(13)


def test_the_page_holds_every_metric_with_help_in_prometheus_format(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    _let_everything_happen(metrics)
    body, content_type = render(registry)
    assert content_type.startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert all(name.startswith("influence_") for name in families)
    assert all(family.documentation.endswith(".") for family in families.values())
    assert all(family.samples for family in families.values())
    labels = {label for family in families.values() for sample in family.samples for label in sample.labels}
    of_cuts_and_flags = {"topic", "population", "role", "type", "reason", "window", "how", "stage"}
    assert labels == {*of_cuts_and_flags, "partition", "result", "le", "bound", "digest", "version", "signal"}
    values = {
        sample.name: sample.value for family in families.values() for sample in family.samples if not sample.labels
    }
    assert values["influence_misrouted_records_total"] == 4
    assert values["influence_redis_up"] == 1
    assert values["influence_recovery_seconds"] == 1.2


def test_without_a_redis_its_metric_is_neither_up_nor_down(registry: CollectorRegistry, metrics: Metrics) -> None:
    """An alarm on 0 would go off wherever there is no board to keep."""
    shown = registry.get_sample_value("influence_redis_up")
    assert shown is not None
    assert math.isnan(shown)
    metrics.redis_up(False)
    assert registry.get_sample_value("influence_redis_up") == 0


def test_two_workers_in_one_process_do_not_share_metrics(metrics: Metrics) -> None:
    other = CollectorRegistry()
    Metrics(other, INPUTS, ())
    metrics.rebalance()
    assert other.get_sample_value("influence_rebalances_total") == 0
