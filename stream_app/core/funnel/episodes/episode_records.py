"""Episodes: maximal runs of a person's events with gaps below a limit, as records, and how sets of them become one."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_app.core.arrays import Ints, Mask

Records = NDArray[np.void]
"""Of one of the types below."""

SELF_STARTED, UNKNOWN, ERASED = -1, -2, -3
"""In place of the number of the credited person: no share of somebody else's, a share that names nobody, and one that
names a person who was erased."""

EPISODE: np.dtype[Any] = np.dtype(
    [
        ("first_ms", np.int64),
        ("last_ms", np.int64),
        ("order", np.uint64),  # of its first event among those of the same time, see `event_orders`
        ("credited", np.int32),  # whom its first event credits
    ]
)
SHARED: np.dtype[Any] = np.dtype([*EPISODE.descr, ("impressions", np.int64)])
"""An episode of shares of one post by one person; the impressions are those of the first share."""


class Episodes(NamedTuple):
    """Episodes by the number of their group, sorted by group and time."""

    groups: Ints
    records: Records

    def are_first(self) -> Mask:
        """Return which are the first of their group."""
        mask = np.ones(len(self.groups), np.bool_)
        np.not_equal(self.groups[1:], self.groups[:-1], out=mask[1:])
        return mask

    def are_last(self) -> Mask:
        """Return which are the last of their group."""
        mask = np.ones(len(self.groups), np.bool_)
        np.not_equal(self.groups[1:], self.groups[:-1], out=mask[:-1])
        return mask

    def at(self, places: Ints | Mask) -> "Episodes":
        """Return some of them."""
        return Episodes(self.groups[places], self.records[places])


class United(NamedTuple):
    """Episodes that others have become."""

    episodes: Episodes
    origins: Ints
    """Which of the others has the first event of each."""


def united(groups: Ints, records: Records, gap_ms: int) -> United:
    """Unite the episodes of each group that lie less than `gap_ms` apart, whatever their order.

    A single event is an episode too. Of records of the same event the one that comes first is kept.
    """
    order = in_order(groups, records)
    groups, records = groups[order], records[order]
    latest = _latest_so_far(groups, records["last_ms"])
    begins = np.ones(len(groups), np.bool_)
    begins[1:] = (groups[1:] != groups[:-1]) | (records["first_ms"][1:] - latest[:-1] >= gap_ms)
    starts = np.flatnonzero(begins)
    whole = records[starts]
    whole["last_ms"] = latest[np.append(starts[1:], len(groups)) - 1] if len(starts) else latest
    return United(Episodes(groups[starts], whole), order[starts])


def in_order(groups: Ints, records: Records) -> Ints:
    """Return the places of records sorted by group and first event.

    Most come in order of time, so only the groups that do not, or have ties, are sorted by more than their number.
    """
    order = np.argsort(groups, kind="stable")
    by_group, by_time = groups[order], records["first_ms"][order]
    is_next = by_group[1:] != by_group[:-1]
    wrong = np.flatnonzero((by_time[1:] <= by_time[:-1]) & ~is_next)
    if not len(wrong):
        return order
    ranks = np.cumsum(np.concatenate([[False], is_next]))
    is_wrong = np.zeros(int(ranks[-1]) + 1, np.bool_)
    is_wrong[ranks[wrong]] = True
    places = np.flatnonzero(is_wrong[ranks])
    theirs = order[places]
    credits_somebody = records["credited"][theirs] != SELF_STARTED  # a post and a share may have the same id
    keys = (credits_somebody, records["order"][theirs], records["first_ms"][theirs], groups[theirs])
    order[places] = theirs[np.lexsort(keys)]
    return order


def fields_of(records: Records, dtype: np.dtype[Any]) -> Records:
    """Return only the fields of `dtype`."""
    fields = np.empty(len(records), dtype)
    for name in dtype.names or ():
        fields[name] = records[name]
    return fields


def _latest_so_far(groups: Ints, last_ms: Ints) -> Ints:
    """Return the latest time up to each place within its group; groups are sorted."""
    if not len(groups):
        return last_ms
    ranks = np.cumsum(np.concatenate([[False], groups[1:] != groups[:-1]]))
    earliest = int(last_ms.min())
    span = int(last_ms.max()) - earliest + 1
    if (int(ranks[-1]) + 1) * span < 2**63:
        latest: Ints = np.maximum.accumulate(ranks * span + (last_ms - earliest)) - ranks * span + earliest
        return latest
    times, places = np.unique(last_ms, return_inverse=True)  # times so far apart that they would overflow
    latest_places: Ints = np.maximum.accumulate(ranks * len(times) + places) - ranks * len(times)
    return times[latest_places]
