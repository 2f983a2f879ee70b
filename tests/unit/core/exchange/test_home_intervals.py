"""The intervals in the records of a home: of what it has computed, whatever it has heard since."""

import numpy as np

from stream_app.core.cuts.cut import cuts_of
from stream_app.core.cuts.cut_interval import intervals_of
from stream_app.core.cuts.scope_cuts import ScopeIntervals
from stream_app.core.exchange.home import Home
from stream_app.core.flags.ranking import RankingRules
from stream_app.core.messages import ROLE_MASK
from tests.unit.core.exchange.test_home import SHARE, TOPICS, Partition, no_thresholds


def test_a_record_has_the_intervals_of_both_curves() -> None:
    partition, one = Partition(0), Home(1, SHARE, RankingRules())
    for user in range(30):
        partition.set(user % 2, user, 1 + user % 7, 0 if user % 2 else user**3)
    for message in partition.messages(no_thresholds, 5000):
        one.hear(message)
    one.recompute(0)
    for topic, are_there in ((TOPICS[0], [True, True]), (TOPICS[1], [True, False])):  # nobody has impressions there
        record, cells = one.record(topic), one.curves(np.array([one.find(topic)]))
        curves, *bounds = intervals_of(cells, cuts_of(cells, SHARE), SHARE)
        assert record is not None
        for name, column in zip(ScopeIntervals._fields, bounds, strict=True):
            found = getattr(record, name)
            assert [found[curve & ROLE_MASK] for curve in curves.tolist()] == column.tolist()
            assert [bound > 0 for bound in found] == are_there


def test_a_record_of_a_home_that_has_heard_more_since_is_of_what_it_has_computed() -> None:
    partition, one = Partition(0), Home(1, SHARE, RankingRules())
    partition.set(0, 1, 5, 0)
    for message in partition.messages(no_thresholds, 5000):
        one.hear(message)
    one.recompute(0)
    partition.set(0, 2, 3, 70)
    for message in partition.messages(no_thresholds, 5000):
        one.hear(message)
    assert one.ranks(TOPICS[0], 1, np.array([10])).tolist() == [2]
    with np.errstate(all="raise"):
        record = one.record(TOPICS[0])
    assert record is not None
    assert (record.users, record.k_low, record.threshold_high[1]) == ((1, 0), (1, 0), 0)
