"""Which stored segments are the history of a ledger, and which are garbage."""

import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog import segments
from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.content import parts
from stream_app.core.changelog.content.pane_content import Entries, PaneContent
from stream_app.core.changelog.header import FunnelProgress, Header
from stream_app.core.changelog.replay import OwnershipEpochs, ReplayedLog, replay
from stream_app.core.changelog.segments import Kind, SegmentKey
from stream_app.core.state.watermark import Source

Stored = dict[bytes, bytes]
P = 3
"""The partition of these tests."""


def _epoch(*epochs: tuple[int, int]) -> Stored:
    key = SegmentKey(P, "epoch", 0, epochs[-1][0], epochs[-1][1], 0)
    return {key.encode(): OwnershipEpochs(epochs).encode()}


def _segment(
    kind: Kind,
    epoch: int,
    sequence: int,
    *,
    pane: int = 0,
    oldest: int = 1,
    entries: int = 1,
    horizon: int = 0,
    decisions: int = 0,
) -> Stored:
    header = Header({"posts": Source(position=10 * sequence)}, horizon, 0, oldest)
    header.funnel = FunnelProgress(newest=decisions)
    numbers = np.arange(entries)
    made = Entries(np.zeros(entries, np.int64), numbers, numbers + 1, numbers, numbers.astype(np.float64))
    values = segments.encode(
        header,
        [("all", "*")],
        [f"u{n}" for n in range(entries)],
        [PaneContent(pane, {0: made}, numbers.astype(np.uint64))],
    )
    keyed = pane if kind in {"pane", "funnel"} else 0
    return {SegmentKey(P, kind, keyed, epoch, sequence, part).encode(): v for part, v in enumerate(values)}


def _delta(epoch: int, sequence: int, *, oldest: int = 1, entries: int = 1, decisions: int = 0) -> Stored:
    return _segment("delta", epoch, sequence, oldest=oldest, entries=entries, decisions=decisions)


def _decision(epoch: int, sequence: int, number: int) -> Stored:
    return _segment("funnel", epoch, sequence, pane=number, decisions=number)


def _seal(epoch: int, sequence: int, *, pane: int = 0, oldest: int = 1, entries: int = 1, horizon: int = 0) -> Stored:
    return _segment("pane", epoch, sequence, pane=pane, oldest=oldest, entries=entries, horizon=horizon)


def _sequences(history: ReplayedLog) -> list[tuple[int, int]]:
    """(epoch, sequence) of the deltas."""
    return [(key.epoch, key.sequence) for key in history.deltas]


@pytest.fixture
def two_entries_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MOST_ENTRIES", 2)


def test_nothing_stored_is_an_empty_history() -> None:
    assert replay({}, P) == (OwnershipEpochs(), 0, None, {}, {}, [], {})


def test_deltas_are_replayed_oldest_first_and_the_newest_has_the_positions() -> None:
    stored = {**_holding(9, 11), **_holding(2, 9), **_epoch((1, 0))}
    history = replay(stored, P)
    assert [sequence for _, sequence in _sequences(history)] == list(range(2, 11))
    assert history.sequence == 10
    assert history.header is not None
    assert history.header.sources["posts"].position == 100


def _holding(start: int, end: int, epoch: int = 1) -> Stored:
    """The deltas from `start` to before `end`; the first is the oldest that is needed."""
    return {key: value for sequence in range(start, end) for key, value in _delta(epoch, sequence, oldest=2).items()}


def test_other_partitions_are_not_looked_at() -> None:
    other = {b"4/delta/0/1/1/0": b"unreadable", b"4/epoch/0/9/0/0": b"too"}
    history = replay({**other, **_epoch((1, 0)), **_delta(1, 1)}, P)
    assert (_sequences(history), history.garbage) == ([(1, 1)], [])


@pytest.mark.usefixtures("two_entries_a_part")
@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_half_written_delta_never_happened(missing: int) -> None:
    half = _delta(1, 2, entries=5)
    assert len(half) == 3
    lost = SegmentKey(P, "delta", 0, 1, 2, missing).encode()
    history = replay({**_epoch((1, 0)), **_delta(1, 1), **{key: v for key, v in half.items() if key != lost}}, P)
    assert (_sequences(history), history.sequence) == ([(1, 1)], 1)
    assert set(history.garbage) == half.keys() - {lost}


@pytest.mark.usefixtures("two_entries_a_part")
def test_a_whole_delta_of_many_parts_has_them_in_order() -> None:
    stored = {**_epoch((1, 0)), **_delta(1, 1, entries=25)}
    keys = list(stored)
    random.Random(0).shuffle(keys)
    ((parts,), garbage) = (replay({key: stored[key] for key in keys}, P).deltas.values(), replay(stored, P).garbage)
    assert [user for part in parts for user in part.users()] == [f"u{number}" for number in range(25)]
    assert garbage == []


@pytest.mark.usefixtures("two_entries_a_part")
def test_a_half_written_seal_leaves_the_one_before() -> None:
    old, new = _seal(1, 1, pane=7), _seal(1, 2, pane=7, entries=3)
    written = dict(list(new.items())[:1])
    history = replay({**_epoch((1, 0)), **_delta(1, 1), **_delta(1, 2), **old, **written}, P)
    assert history.sealed[7][0].sequence == 1
    assert history.garbage == list(written)


def test_only_the_newest_seal_of_a_pane_counts() -> None:
    old, new, other = _seal(1, 1, pane=7), _seal(1, 2, pane=7), _seal(1, 1, pane=8)
    history = replay({**new, **old, **other, **_epoch((1, 0)), **_delta(1, 1), **_delta(1, 2)}, P)
    assert {pane: key.sequence for pane, (key, _) in history.sealed.items()} == {7: 2, 8: 1}
    assert history.garbage == list(old)


def test_only_the_newest_epoch_record_counts() -> None:
    old, new = _epoch((1, 0)), _epoch((1, 0), (5, 1))
    history = replay({**new, **old, **_delta(1, 1)}, P)
    assert history.ownership == OwnershipEpochs(((1, 0), (5, 1)))
    assert history.garbage == list(old)


def test_writes_of_a_worker_after_another_took_over_are_garbage() -> None:
    zombie = {**_delta(1, 3), **_delta(1, 4), **_seal(1, 4, pane=2)}
    kept = {**_delta(1, 1), **_delta(1, 2), **_seal(1, 2, pane=2), **_delta(2, 3), **_epoch((1, 0), (2, 2))}
    history = replay({**zombie, **kept}, P)
    assert _sequences(history) == [(1, 1), (1, 2), (2, 3)]
    assert history.sealed[2][0].sequence == 2
    assert set(history.garbage) == zombie.keys()


def test_a_seal_that_an_earlier_owner_finished_late_is_kept_because_it_holds_no_more_than_was_read() -> None:
    history = replay({**_epoch((1, 0), (2, 2)), **_delta(1, 1), **_delta(1, 2), **_seal(1, 2, pane=2)}, P)
    assert history.sealed[2][0].epoch == 1


def test_writes_of_an_unknown_worker_are_garbage() -> None:
    foreign = _delta(2, 1)
    history = replay({**foreign, **_epoch((1, 0), (3, 0)), **_delta(3, 1)}, P)
    assert (_sequences(history), history.garbage) == ([(3, 1)], list(foreign))


def test_the_history_ends_before_a_write_that_was_lost() -> None:
    stored = {**_epoch((1, 0)), **_delta(1, 1), **_delta(1, 2), **_seal(1, 2), **_delta(1, 4), **_seal(1, 4)}
    history = replay(stored, P)
    assert (_sequences(history), history.sequence) == ([(1, 1), (1, 2)], 2)
    assert history.sealed[0][0].sequence == 2
    assert set(history.garbage) == {*_delta(1, 4), *_seal(1, 4)}


def test_the_history_ends_before_a_decision_that_was_lost() -> None:
    stored = {**_epoch((1, 0)), **_delta(1, 1), **_decision(1, 2, 1), **_delta(1, 2, decisions=1)}
    assert [*replay(stored, P).decisions] == [1]
    stored |= {**_delta(1, 3, decisions=2), **_delta(1, 4, decisions=2)}
    assert _sequences(replay(stored, P)) == [(1, 1), (1, 2)]


def test_earlier_releases_take_decisions_for_panes_that_left_the_window() -> None:
    (key,) = _decision(1, 2, 7)
    assert key.decode().split("/")[1] == "pane"
    assert int(key.decode().split("/")[2]) < -(2**60)
    assert SegmentKey.decode(key) == SegmentKey(P, "funnel", 7, 1, 2, 0)


@pytest.mark.parametrize("left", [0, 1])
def test_after_an_owner_that_knows_no_funnel_it_begins_anew_and_no_count_is_lost(left: int) -> None:
    """Releases before 0.4 delete its decisions; `left`: what they have not deleted yet."""
    before = {**_decision(1, 2, 1), **_decision(1, 3, 2)}
    stored = {**_epoch((1, 0), (2, 3), (3, 5)), **_delta(1, 1), **dict([*before.items()][:left])}
    stored |= {**_delta(1, 2, decisions=1), **_delta(1, 3, decisions=2), **_delta(2, 4), **_delta(2, 5)}
    history = replay(stored, P)
    assert _sequences(history) == [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5)]
    assert not history.decisions
    assert history.garbage == [*before][:left]
    stored |= {**_decision(3, 6, 1), **_delta(3, 6, decisions=1), **_delta(3, 7, decisions=1)}
    history = replay(stored, P)
    assert _sequences(history)[-3:] == [(2, 5), (3, 6), (3, 7)]
    assert {number: key.sequence for number, (key, _) in history.decisions.items()} == {1: 6}
    lost = {key: value for key, value in stored.items() if key not in _decision(3, 6, 1)}
    assert _sequences(replay(lost, P))[-1] == (2, 5)


def test_deltas_that_were_deleted_because_a_seal_holds_them_are_not_missed() -> None:
    stored = {**_epoch((1, 0)), **_seal(1, 3, oldest=1), **_delta(1, 3), **_delta(1, 4, oldest=3)}
    history = replay(stored, P)
    assert (_sequences(history), history.sequence) == ([(1, 3), (1, 4)], 4)


def test_a_later_seal_of_the_same_sequence_decides_which_deltas_may_be_missing() -> None:
    """Two panes settle one after the other while no batch comes; the second seal is written after the first garbage."""
    stored = {**_epoch((1, 0)), **_delta(1, 3, oldest=1), **_seal(1, 3, oldest=1), **_seal(1, 3, pane=1, oldest=3)}
    history = replay(stored, P)
    assert (_sequences(history), history.sequence) == ([(1, 3)], 3)
    assert set(history.sealed) == {0, 1}


def test_the_furthest_horizon_of_the_newest_sequence_is_restored() -> None:
    stored = {**_epoch((1, 0)), **_seal(1, 1, horizon=9), **_delta(1, 1), **_seal(1, 1, pane=1, horizon=5)}
    header = replay(stored, P).header
    assert header is not None
    assert header.horizon == 9


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_the_order_of_what_is_stored_does_not_matter(chance: random.Random) -> None:
    stored = _epoch((1, 0)) | _epoch((1, 0), (2, 2)) | _delta(1, 3) | _seal(1, 3, pane=1)
    stored |= _delta(1, 1) | _delta(1, 2) | _delta(2, 3) | _delta(2, 4) | _seal(1, 1) | _seal(2, 3) | _seal(1, 2)
    stored |= _seal(2, 4, pane=4, oldest=3) | _seal(2, 4, pane=5, oldest=2)
    keys = list(stored)
    chance.shuffle(keys)
    expected, found = replay(stored, P), replay({key: stored[key] for key in keys}, P)
    assert found[:4] == expected[:4]
    assert found.sealed == expected.sealed
    assert set(found.garbage) == set(expected.garbage)


def test_a_segment_of_another_release_is_refused_and_not_passed_over() -> None:
    key = SegmentKey(P, "delta", 0, 1, 1, 0).encode()
    with pytest.raises(FormatError, match="version 7"):
        replay({**_epoch((1, 0)), key: msgspec.msgpack.encode([7, "other"])}, P)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (msgspec.msgpack.encode((2, ((1, 0),))), "epoch record of version 2, this release reads 1"),
        (msgspec.msgpack.encode((1, ((2**63, 0),))), "numbers that no worker has written"),
        (b"\x00", "not an epoch record of version 1"),
        (b"", "not an epoch record of version 1"),
    ],
)
def test_an_epoch_record_of_another_release_is_refused(value: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        replay({SegmentKey(P, "epoch", 0, 1, 0, 0).encode(): value}, P)


def test_a_new_ownership_has_the_number_of_its_generation_which_is_above_all_before() -> None:
    ownership = OwnershipEpochs().begin(generation=4, sequence=0, live_epochs=())
    assert ownership == OwnershipEpochs(((4, 0),))
    ownership = ownership.begin(generation=9, sequence=7, live_epochs=[4])
    assert ownership == OwnershipEpochs(((4, 0), (9, 7)))
    assert ownership.epoch == 9
    assert OwnershipEpochs.decode(ownership.encode()) == ownership


@given(
    before=st.lists(st.integers(0, 9), max_size=6),
    generations=st.lists(st.integers(0, 9), min_size=2, max_size=2, unique=True),
)
def test_owners_that_begin_at_once_never_share_a_number_even_where_kafka_has_forgotten_their_group(
    before: list[int], generations: list[int]
) -> None:
    ownership = OwnershipEpochs()
    for generation in before:
        ownership = ownership.begin(generation, 0, ())
    epochs = {ownership.begin(generation, 0, ()).epoch for generation in generations}
    assert len(epochs) == len(generations)
    assert not before or min(epochs) > ownership.epoch


def test_owners_of_whom_nothing_is_left_are_dropped_from_the_lineage() -> None:
    ownership = OwnershipEpochs(((1, 0), (3, 10), (4, 20)))
    assert ownership.begin(9, 30, [3, 4]).epochs == ((3, 10), (4, 20), (9, 30))
    assert ownership.begin(9, 30, [1]).epochs == ((1, 0), (3, 10), (4, 20), (9, 30))
    assert ownership.begin(9, 30, []).epochs == ((9, 30),)
