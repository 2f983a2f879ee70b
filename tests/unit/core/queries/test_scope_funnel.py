"""The funnel of a scope, as partitions add it up."""

from stream_app.core.funnel.cohorts import Cohort
from stream_app.core.funnel.funnel_sums import FunnelSums
from stream_app.core.queries.scope_funnel import ScopeFunnel

ONE = ScopeFunnel(FunnelSums(3, 1, 2, 1, 1, 3, 1, 1), {10: Cohort(2, 1), 11: Cohort(1, 0)}, known_before=11)
OTHER = ScopeFunnel(FunnelSums(2, 0, 1, 1, 0, 2, 0, 1), {9: Cohort(1, 2), 10: Cohort(1, 3)}, known_before=12)


def test_stages_and_cohorts_of_partitions_add_up() -> None:
    whole = ONE.plus(OTHER)
    assert whole == OTHER.plus(ONE)
    assert whole.sums == FunnelSums(5, 1, 3, 2, 1, 5, 1, 2)
    assert whole.cohorts == {9: Cohort(1, 2), 10: Cohort(3, 4), 11: Cohort(1, 0)}
    figures = whole.figures()
    assert figures.entries == figures.new + figures.re_entered == 6
    assert figures.entries == figures.recruited + figures.self_started + figures.unknown
    assert figures.k == 0.6


def test_a_cohort_is_not_known_before_every_partition_knows_it() -> None:
    found = {one.day: one.r for one in ONE.plus(OTHER).figures().cohorts}
    assert found == {"1970-01-10": 2.0, "1970-01-11": 1.3333, "1970-01-12": None}


def test_without_people_there_is_no_k() -> None:
    assert ScopeFunnel(FunnelSums(), {}, 0).figures().k is None
