"""Episodes against a plain sweep: united in any order, by pieces, and over any times."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.funnel.episodes import pending_episodes
from stream_app.core.funnel.episodes.episode_records import EPISODE, Records, united
from stream_app.core.funnel.episodes.pending_episodes import PendingEpisodes

GAP_MS = 10
EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 120) | st.integers(-(2**50), 2**50), st.integers(0, 9)))
KEYS = np.array([-(2**63), -5, 2**62, 2**63 - 1])
"""By group: all over the range of keys."""
Found = list[tuple[int, int, int, int]]
"""Group, first and last time, order of the first event."""


def _records(events: list[tuple[int, int, int]]) -> tuple[np.typing.NDArray[np.int64], Records]:
    records = np.zeros(len(events), EPISODE)
    groups = np.array([group for group, _, _ in events], np.int64)
    records["first_ms"] = records["last_ms"] = [ts_ms for _, ts_ms, _ in events]
    records["order"] = [order for _, _, order in events]
    return groups, records


def _naive(events: list[tuple[int, int, int]]) -> Found:
    found: Found = []
    for group, ts_ms, order in sorted(events):
        if found and found[-1][0] == group and ts_ms - found[-1][2] < GAP_MS:
            found[-1] = (group, found[-1][1], ts_ms, found[-1][3])
        else:
            found.append((group, ts_ms, ts_ms, order))
    return found


def _found(groups: np.typing.NDArray[np.int64], records: Records) -> Found:
    columns = (groups, records["first_ms"], records["last_ms"], records["order"])
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.fixture(autouse=True, scope="module")
def short_runs() -> Iterator[None]:
    """Make runs of the few records of these tests too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pending_episodes, "_RUN", 3)
        yield


@settings(max_examples=200)
@given(EVENTS, st.integers(0, 100))
def test_episodes_of_two_parts_are_united_to_those_of_the_whole(events: list[tuple[int, int, int]], cut: int) -> None:
    parts = [united(*_records(part), GAP_MS).episodes for part in (events[:cut], events[cut:])]
    groups, records = (np.concatenate(column) for column in zip(*parts, strict=True))
    assert _found(*united(groups, records, GAP_MS).episodes) == _naive(events)
    assert _found(*united(*_records(events), GAP_MS).episodes) == _naive(events)


@settings(max_examples=100)
@given(EVENTS, st.randoms(use_true_random=False), st.integers(1, 30), st.integers(-5, 130))
def test_pending_events_are_taken_pane_by_pane_in_parts(
    events: list[tuple[int, int, int]], chance: random.Random, pane_ms: int, until_ms: int
) -> None:
    pending = PendingEpisodes(EPISODE, pane_ms, GAP_MS)
    chance.shuffle(events)
    for event in events:
        groups, records = _records([event])
        keyed = np.zeros(1, pending.dtype)
        keyed["key"] = KEYS[groups]
        for field in EPISODE.names or ():
            keyed[field] = records[field]
        pending.add(keyed)
    decided = [event for event in events if (event[1] // pane_ms + 1) * pane_ms <= until_ms]
    assert _taken(pending, until_ms) == _naive(decided)
    assert _taken(pending, 2**60) == _naive([event for event in events if event not in decided])
    assert not pending.nbytes


def _taken(pending: PendingEpisodes, until_ms: int) -> Found:
    """All that is pending, taken in parts."""
    pending.begin(until_ms)
    parts = [pending.take_below(end)[0] for end in (-4, 0, 2**62, 2**63)]
    return [one for taken in parts for one in _found(np.searchsorted(KEYS, taken["key"]), taken)]
