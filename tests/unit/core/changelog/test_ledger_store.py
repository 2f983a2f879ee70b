"""Ledger stores that crash between any two writes, and owners that do not know that they have lost the partition."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog import ledger_store as ledger_store_module
from stream_app.core.changelog.content import parts
from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.state import ledger as ledger_module
from tests.unit.core import streams
from tests.unit.core.logs import Log
from tests.unit.core.streams import Batch, State

ENDS = st.lists(st.integers(0, 60), max_size=8)
MAINTAIN, SWEEP, IDLE = 1, 2, 4
CHORES = st.lists(st.integers(0, 7), min_size=1, max_size=5)
CUTS = st.lists(st.integers(0, 200), min_size=1, max_size=3)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of several parts, seals of open panes and renumbering in small streams too."""
    monkeypatch.setattr(parts, "MOST_ENTRIES", 3)
    monkeypatch.setattr(ledger_store_module, "MOST_DELTAS", 3)
    monkeypatch.setattr(ledger_module, "_DEAD_ROWS_KEPT", 2)


def _count(store: LedgerStore, log: Log, batches: Sequence[Batch], chores: Sequence[int]) -> None:
    """Count what was not counted before; `chores` are what is done after each batch."""
    for number, batch in enumerate(batches):
        if batch.position <= store.ledger.source(batch.topic).position:
            continue
        credits_ = streams.credits_of(batch)
        store.count(batch.topic, batch.position, credits_, store.ledger.late(batch.topic, credits_.ts_ms), 0)
        _advance(store)
        chore = chores[number % len(chores)]
        if chore & MAINTAIN:
            store.maintain()
        if chore & IDLE:  # the others go on, this partition has nothing to read: only the window moves
            store.ledger.advance(_newest_so_far(batches[: number + 1]))
            store.maintain()
        if chore & SWEEP:
            log.sweep(store)


def _newest_so_far(batches: Sequence[Batch]) -> int:
    return max(int(streams.credits_of(batch).ts_ms.max()) for batch in batches)


def _advance(store: LedgerStore) -> None:
    if any(source.read for source in store.ledger.sources.values()):
        store.ledger.advance(streams.newest_of(store.ledger))


def _state(store: LedgerStore) -> State:
    _advance(store)
    return streams.state_of(store.ledger)


@settings(max_examples=60)
@given(streams.events(given=True), ENDS, st.lists(st.tuples(CHORES, st.integers(0, 200)), min_size=1, max_size=4))
def test_a_crash_between_any_two_writes_loses_and_doubles_nothing(
    stream: list[Event], ends: list[int], lives: list[tuple[list[int], int]]
) -> None:
    batches = streams.batches_of(stream, ends)
    log = Log()
    for generation, (chores, cut) in enumerate(lives):
        before = len(log.writes)
        _count(log.open(generation), log, batches, chores)
        written = len(log.writes) - before
        log = Log(log.writes[: before + cut % (written + 1)])
    store = log.open(len(lives))
    _count(store, log, batches, [MAINTAIN | SWEEP])
    assert _state(store) == streams.expected_of(batches)
    assert _state(log.open(99)) == streams.expected_of(batches)


@settings(max_examples=60)
@given(streams.events(given=True), ENDS, CHORES, CHORES, CUTS)
def test_late_writes_of_a_frozen_owner_change_nothing(
    stream: list[Event], ends: list[int], chores: list[int], later: list[int], cuts: list[int]
) -> None:
    """It wakes after the new owner has begun: its batches and seals still come, and deletions confirmed before."""
    batches = streams.batches_of(stream, ends)
    old = Log()
    _count(old.open(1), old, batches, chores)
    taken_over = cuts[0] % (len(old.writes) + 1)
    new = Log(old.writes[:taken_over])
    _count(new.open(2), new, batches, later)
    late = [w for w in old.writes[taken_over:] if w.value is not None or w.confirmed_at <= taken_over]
    began = new.writes[taken_over:]
    cut = cuts[-1] % (len(began) + 1)
    # The new owner is there once its epoch record is; before that the old one is still the owner.
    merged = Log([*new.writes[:taken_over], *began[: max(cut, 1)], *late])
    store = merged.open(3)
    _count(store, merged, batches, [MAINTAIN | SWEEP])
    found, wanted = _state(store), streams.expected_of(batches)
    assert found._replace(recent={}) == wanted._replace(recent={})
    # A seal of the old owner, who had come further, has no slots that only the new one still needs.
    assert all(made[0] <= wanted.recent[key][0] for key, made in found.recent.items())


@settings(max_examples=40)
@given(streams.events(given=True), ENDS, st.integers(0, 200))
def test_a_batch_that_the_log_did_not_take_is_counted_again(stream: list[Event], ends: list[int], which: int) -> None:
    """Nothing is deleted after a lost write, see Ownership.sweep."""
    batches = streams.batches_of(stream, ends)
    log = Log()
    _count(log.open(1), log, batches, [MAINTAIN])
    deltas = [write.key for write in log.writes if b"/delta/" in write.key]
    lost = deltas[which % len(deltas)] if deltas else b""
    left = Log(write for write in log.writes if write.key != lost)
    store = left.open(2)
    _count(store, left, batches, [MAINTAIN | SWEEP])
    assert _state(store) == streams.expected_of(batches)


def _busy_stream() -> list[Batch]:
    """Re-deliveries, late events and several windows; both sources."""
    found: list[Event] = []
    for number in range(24):
        ts = number * 5 - (25 if number % 5 == 0 else 0)
        found.append(Post(event_id=f"p{number}", ts=ts, user_id="abc"[number % 3], topics=("x",), audience=number))
        found.append(Share(event_id=f"s{number % 7}", ts=number % 7 * 5, user_id="abcd"[number % 7 % 4], audience=3))
    return streams.batches_of(found, range(0, 48, 7))


@pytest.mark.slow
@pytest.mark.parametrize("chores", [[0], [MAINTAIN], [MAINTAIN | SWEEP], [0, SWEEP, MAINTAIN, IDLE, IDLE | SWEEP]])
def test_a_busy_stream_survives_a_crash_at_every_single_write(chores: list[int]) -> None:
    batches = _busy_stream()
    expected = streams.expected_of(batches)
    assert {name for counts in expected.counters.values() for name in counts} >= {"applied", "duplicate", "late"}
    log = Log()
    _count(log.open(1), log, batches, chores)
    for cut in range(len(log.writes) + 1):
        after = Log(log.writes[:cut])
        store = after.open(2)
        _count(store, after, batches, chores)
        assert _state(store) == expected, f"after {cut} writes"


def test_the_log_stays_as_small_as_the_window() -> None:
    log = Log()
    store = log.open(1)
    for number in range(300):
        found: list[Event] = [Post(event_id=number, ts=number * 5, user_id="a")]
        _count(store, log, [Batch(streams.POSTS, found, number + 1)], [MAINTAIN | SWEEP])
    assert len(log.table()) <= 3 * streams.PANES + ledger_store_module.MOST_DELTAS
    assert store.segment_count <= 2 * streams.PANES + ledger_store_module.MOST_DELTAS
    assert log.open(2).sequence == store.sequence


def test_panes_are_sealed_before_the_deltas_become_many_even_while_they_are_open() -> None:
    log = Log()
    store = log.open(1)
    for number in range(50):
        found: list[Event] = [Post(event_id=number, ts=0, user_id="a")]
        _count(store, log, [Batch(streams.POSTS, found, number + 1)], [MAINTAIN | SWEEP])
    assert store.segment_count <= ledger_store_module.MOST_DELTAS + 2
    assert streams.totals_of(log.open(2).ledger) == {("all", "*", "a"): (50, 0, 0)}


def test_two_owners_never_write_to_the_same_key() -> None:
    batches = _busy_stream()
    log = Log()
    _count(log.open(1), log, batches, [MAINTAIN])
    again = Log(log.writes[: len(log.writes) // 2])
    started = len(again.writes)
    _count(again.open(2), again, batches, [MAINTAIN])
    written = [write.key for write in [*log.writes, *again.writes[started:]] if write.value is not None]
    assert len(written) == len(set(written))


def test_an_empty_log_gives_a_new_store_with_an_epoch_record() -> None:
    log = Log()
    store = log.open(5)
    assert [key for key, _, _ in log.writes] == [b"3/epoch/0/5/0/0"]
    assert (store.sequence, store.segment_count, len(store.ledger.rows)) == (0, 0, 0)
    assert store.sweepable() == 0


def test_a_store_without_changes_stops_writing() -> None:
    log = Log()
    store = log.open(1)
    _count(store, log, _busy_stream(), [0])
    for _ in range(20):
        written = len(log.writes)
        store.maintain()
        store.sweep(store.sweepable())
    assert len(log.writes) == written
