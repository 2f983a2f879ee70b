"""The signals of all partitions together, against the naive model, whatever the order, batches and partitions."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog.columns import FormatError
from stream_app.core.signals import window_table
from stream_app.core.signals.facts import Signal
from stream_app.core.signals.own_events import OwnEvents
from stream_app.core.signals.pair_counts import paired
from stream_app.core.signals.partition_signals import PartitionSignals
from stream_app.core.signals.signal_limits import SignalLimits
from stream_app.core.signals.step_evidence import added_up
from stream_app.core.signals.synchrony import CreditedShares
from tests.unit.core.signals.naive_signals import Did, naive_person, naive_trials

SECOND = 1000
LIMITS = SignalLimits(
    slice_ms=20 * SECOND,
    slices=4,
    disorder_ms=8 * SECOND,
    look_ms=2 * SECOND,
    regular_gaps=1,
    steady_events=2,
    audience_growth=1.5,
    audience_room=5,
    step_ms=3 * SECOND,
    guard_ms=6 * SECOND,
    pace_ms=30 * SECOND,
    most_by_chance=0.6,
)
USERS = range(1, 6)

dids = st.builds(
    Did,
    ts_ms=st.integers(-20 * SECOND, 200 * SECOND).map(lambda ts_ms: ts_ms - ts_ms % 500),
    user=st.sampled_from(USERS),
    event=st.integers(1, 10**6),
    author=st.sampled_from([0, 0, 1, 2, 7]),
    post=st.sampled_from([0, 3, 4]),
    audience=st.sampled_from([-1, 0, 3, 10, 14, 20, 100]),
    impressions=st.integers(0, 100),
)


@pytest.fixture(autouse=True, scope="module")
def rows_are_dropped_at_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window_table, "_FEW_ROWS", 1)
        yield


class _Group:
    """Partitions, and trials that travel between them."""

    def __init__(self, partitions: int) -> None:
        self.parts = [PartitionSignals(LIMITS) for _ in range(partitions)]

    def of(self, user: int) -> PartitionSignals:
        return self.parts[user % len(self.parts)]

    def feed(self, batch: list[Did], end_ms: int) -> None:
        for number, part in enumerate(self.parts):
            own = [did for did in batch if did.user % len(self.parts) == number]
            part.add_own(_own(own))
            credited = [did for did in batch if did.author and did.author % len(self.parts) == number]
            part.add_credited(_shares(credited, len(self.parts)))
            part.advance(end_ms)
        for trials in [part.judge(end_ms) for part in self.parts]:
            for number, part in enumerate(self.parts):
                part.add_steps(added_up(trials.take(trials.sources == number)))

    def restart(self) -> None:
        stored = [part.encode() for part in self.parts]
        self.parts = [PartitionSignals(LIMITS) for _ in self.parts]
        for part, data in zip(self.parts, stored, strict=True):
            part.restore(data)


def _own(batch: list[Did]) -> OwnEvents:
    columns = [np.array([did[place] for did in batch], np.int64) for place in range(7)]
    return OwnEvents(columns[0], *(column.astype(np.uint64) for column in columns[1:5]), *columns[5:])  # type: ignore[arg-type]


def _shares(batch: list[Did], partitions: int = 1) -> CreditedShares:
    own = _own(batch)
    posts = np.where(own.posts == 0, own.authors, paired(own.authors, own.posts))
    return CreditedShares(own.ts_ms, posts, own.users, (own.users % np.uint64(partitions)).astype(np.int64))


@given(
    st.lists(st.tuples(dids, st.integers(0, LIMITS.disorder_ms)), max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(1, 3),
    st.integers(0, 6),
)
@settings(max_examples=300)
def test_signals_are_those_of_the_naive_model_in_any_order_batches_and_partitions(
    delayed: list[tuple[Did, int]], cuts: list[int], partitions: int, restart: int
) -> None:
    arrived = [did for did, _ in sorted(delayed, key=lambda one: one[0].ts_ms + one[1])]
    group = _Group(partitions)
    newest_ms = -20 * SECOND
    for number, (start, end) in enumerate(pairwise([0, *sorted(cuts), len(arrived)])):
        newest_ms = max([newest_ms, *(did.ts_ms for did in arrived[start:end])])
        group.feed(arrived[start:end], newest_ms)
        if number == restart:
            group.restart()
    end_ms = newest_ms + 20 * SECOND
    group.feed([], end_ms)
    assert sum(part.late for part in group.parts) == 0
    ready_ms, judged_ms = (
        (end_ms - LIMITS.disorder_ms) // step_ms * step_ms for step_ms in (LIMITS.look_ms, LIMITS.judge_ms)
    )
    shares = [did for did in arrived if did.author]
    trials = naive_trials(shares, judged_ms - LIMITS.pace_ms, LIMITS)
    for user in USERS:
        _assert_own(group.of(user), user, arrived, ready_ms)
        _assert_synchrony(group.of(user), user, trials.get(user, (0, 0, 0.0)))


def _assert_own(part: PartitionSignals, user: int, arrived: list[Did], ready_ms: int) -> None:
    naive = naive_person([did for did in arrived if did.user == user], ready_ms, LIMITS)
    key = np.array([user], np.uint64)
    found = {one.name: one for one in part.measured(key)}
    assert found[Signal.REGULAR].values[0] == pytest.approx(naive.variation, abs=1e-9, nan_ok=True)
    assert found[Signal.REGULAR].events[0] == len(naive.gaps) + bool(naive.events)
    assert found[Signal.ALWAYS_ON].events[0] == naive.events
    assert np.nan_to_num(found[Signal.ALWAYS_ON].values[0]) == len(naive.hours)
    shares = naive.authors.total()
    assert found[Signal.ONE_SIDED].events[0] == shares
    part_of_one = max(naive.authors.values()) / shares if shares else math.nan
    assert found[Signal.ONE_SIDED].values[0] == pytest.approx(part_of_one, nan_ok=True)
    assert found[Signal.ONE_SIDED].numbers["distinct_posts"][0] == len(naive.posts)
    jump = naive.jump if naive.jumps and naive.jump else math.nan
    assert found[Signal.AUDIENCE_JUMP].values[0] == pytest.approx(jump, abs=1e-3, nan_ok=True)
    left = part.trusted(key)
    assert (left.impressions[0], left.bounded[0]) == (naive.impressions, naive.impressions - naive.excess)


def _assert_synchrony(part: PartitionSignals, user: int, naive: tuple[int, int, float]) -> None:
    found = part.evidence.measured(np.array([user], np.uint64))
    trials, in_step, expected = naive
    assert (found.events[0], found.numbers["in_step"][0]) == (trials, in_step)
    assert found.numbers["expected"][0] == pytest.approx(expected, abs=1e-4)


def test_what_comes_later_than_is_waited_for_is_left_out_and_counted() -> None:
    part = PartitionSignals(LIMITS)
    part.advance(100 * SECOND)
    part.judge(100 * SECOND)
    late = Did(89 * SECOND, 1, 1, 2, 3, 10, 10)
    assert part.add_own(_own([late, late._replace(ts_ms=92 * SECOND)])).tolist() == [True, False]
    assert part.add_credited(_shares([late])).tolist() == [True]
    assert part.late == 2


def test_an_erased_person_is_forgotten_and_nobody_else() -> None:
    group, others = _Group(1), _Group(1)
    rng = np.random.default_rng(1)
    numbers = rng.integers(1, 5, (400, 3)).tolist()
    happened = [
        Did(1 + place * 150, user, place, 5 + author, post, 10, 10)
        for place, (user, author, post) in enumerate(numbers)
    ]
    for some in (happened[:300], happened[300:]):
        group.feed(some, some[-1].ts_ms)
        others.feed([did for did in some if did.user != 2], some[-1].ts_ms)
    part, expected = group.parts[0], others.parts[0]
    part.erase(np.array([2], np.uint64))
    people = np.arange(1, 10, dtype=np.uint64)
    for end_ms in (62 * SECOND, 90 * SECOND, 200 * SECOND):
        group.feed([], end_ms)
        others.feed([], end_ms)
        for mine, theirs in zip(part.own.measured(people), expected.own.measured(people), strict=True):
            assert mine.events.tolist() == theirs.events.tolist()
            np.testing.assert_array_equal(mine.values, theirs.values)
    assert part.evidence.measured(np.array([2], np.uint64)).events[0] == 0


@pytest.mark.parametrize("data", [b"", b"nothing", b"\x95"])
def test_what_no_release_wrote_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="no release has written"):
        PartitionSignals().restore(data)


def test_what_another_release_wrote_is_not_read() -> None:
    with pytest.raises(FormatError, match="newer release"):
        PartitionSignals().restore(PartitionSignals().encode().replace(b"\x94\x01", b"\x94\x02", 1))
