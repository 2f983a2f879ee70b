"""Messages of cuts: the intervals that are known are in them, by role and scope, and no others."""

import numpy as np

from stream_app.core.cuts.publication import Frame, PublishedCuts
from stream_app.core.cuts.scope_cuts import ScopeCuts, ScopeIntervals
from stream_app.core.flags.ranking import RankingRules
from stream_app.core.messages import Cut, Role
from stream_app.core.privacy.min_group import UNLIMITED
from stream_app.core.state.scopes import ScopeName

NAMES = [ScopeName("all", f"t{number}") for number in range(3)]
FRAME = Frame(0.8, 0, 10, 11, "v")


def published(intervals: ScopeIntervals | None) -> dict[tuple[str, Role], Cut]:
    cuts = ScopeCuts.empty(3)
    for column in (cuts.users, cuts.totals, cuts.k, cuts.thresholds):
        column[:2] = [[40, 0, 50], [20, 30, 10]]
    messages = PublishedCuts(NAMES, cuts, FRAME, intervals).messages(RankingRules(), {}, UNLIMITED)
    return {(cut.topic, cut.role): cut for cut in messages}


def test_each_message_has_the_interval_of_its_cut() -> None:
    intervals = ScopeIntervals.empty(3)
    for number, column in enumerate(intervals, start=1):
        column[:2] = number * np.array([[1, 2, 3], [4, 5, 0]])
    found = published(intervals)
    cut = found["t2", Role.MAVEN]
    assert (cut.k_low, cut.k_high, cut.threshold_low, cut.threshold_high) == (3, 6, 9, 12)
    assert (cut.percent_of_users_low, cut.percent_of_users_high) == (6.0, 12.0)
    assert found["t1", Role.CONNECTOR].k_low == 5
    assert found["t2", Role.CONNECTOR].k_low is found["t2", Role.CONNECTOR].threshold_high is None


def test_without_intervals_messages_have_none() -> None:
    assert {cut.percent_of_users_low for cut in published(None).values()} == {None}
