"""Users erased from a ledger and its log: as if never counted, whichever write the erasure ends at."""

from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog import ledger_store as ledger_store_module
from stream_app.core.changelog import segments
from stream_app.core.changelog.content import parts
from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.core.state import ledger as ledger_module
from tests.unit.core import streams
from tests.unit.core.logs import Log
from tests.unit.core.streams import Batch, State

ERASED = {"a"}
ENDS = st.lists(st.integers(0, 60), max_size=8)
MAINTAIN, SWEEP = 1, 2
CHORES = st.lists(st.integers(0, 3), min_size=1, max_size=5)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of several parts, and seals of open panes, in small streams too."""
    monkeypatch.setattr(parts, "MOST_ENTRIES", 3)
    monkeypatch.setattr(ledger_store_module, "MOST_DELTAS", 3)
    monkeypatch.setattr(ledger_module, "_DEAD_ROWS_KEPT", 2)


def _batches(stream: Sequence[Event], ends: Sequence[int]) -> list[Batch]:
    """Everybody has events of their own: what becomes of a re-delivery does not depend on who is erased."""
    own = [msgspec.structs.replace(event, event_id=f"{event.event_id} of {event.user_id}") for event in stream]
    return streams.batches_of(own, ends)


def _without_erased(batch: Batch) -> list[int]:
    return [place for place, event in enumerate(batch.events) if event.user_id not in ERASED]


def _count(store: LedgerStore, log: Log, batch: Batch, chore: int, *, is_after: bool) -> None:
    """Count a batch; once they are erased those people's events are rejected."""
    credits_, rejected = streams.credits_of(batch), 0
    if is_after:
        kept = _without_erased(batch)
        credits_, rejected = credits_.only(kept), len(batch.events) - len(kept)
    store.count(batch.topic, batch.position, credits_, store.ledger.late(batch.topic, credits_.ts_ms), rejected)
    store.ledger.advance(streams.newest_of(store.ledger))
    if chore & MAINTAIN:
        store.maintain()
    if chore & SWEEP:
        log.sweep(store)


def _counted(store: LedgerStore, batches: Sequence[Batch]) -> int:
    """How many of the batches the ledger has counted."""
    return sum(batch.position <= store.ledger.source(batch.topic).position for batch in batches)


def _finish(store: LedgerStore, log: Log, batches: Sequence[Batch], chores: Sequence[int]) -> None:
    for number, batch in enumerate(batches):
        if batch.position > store.ledger.source(batch.topic).position:
            _count(store, log, batch, chores[number % len(chores)], is_after=True)


def _expected(batches: Sequence[Batch], erased_after: int) -> State:
    """What the naive model makes of the batches when people are erased after so many of them."""
    naive = streams.new_naive()
    for number, batch in enumerate(batches):
        if number == erased_after:
            naive.erase(ERASED)
        kept = batch.events if number < erased_after else [batch.events[place] for place in _without_erased(batch)]
        naive.apply(batch.topic, kept)
        naive.advance(max(source.watermark for source in naive.sources.values()))
    naive.erase(ERASED)
    return streams.naive_state(naive)


def _state(store: LedgerStore) -> State:
    if any(source.read for source in store.ledger.sources.values()):
        store.ledger.advance(streams.newest_of(store.ledger))
    assert all(source.read == source.position for source in store.ledger.sources.values())
    state = streams.state_of(store.ledger)
    return state._replace(counters={topic: counts for topic, counts in state.counters.items() if counts})


def _names(log: Log) -> set[str]:
    """Whose names the values in the log hold."""
    stored = [value for key, value in log.table().items() if SegmentKey.decode(key).kind != "epoch"]
    return {name for value in stored for name in segments.decode(value).users()}


@settings(max_examples=60)
@given(streams.events(given=True), ENDS, CHORES, st.integers(0, 60))
def test_the_erased_are_gone_and_all_others_are_counted_exactly(
    stream: list[Event], ends: list[int], chores: list[int], place: int
) -> None:
    batches = _batches(stream, ends)
    log, erased_after = Log(), place % (len(batches) + 1)
    store = log.open(1)
    for number, batch in enumerate(batches[:erased_after]):
        _count(store, log, batch, chores[number % len(chores)], is_after=False)
    store.erase(ERASED)
    assert not ERASED & store.ledger.users.keys()
    assert not ERASED & Log(log.writes).open(2).ledger.users.keys()
    log.sweep(store)
    assert not ERASED & _names(log)
    _finish(store, log, batches, chores)
    assert _state(store) == _expected(batches, erased_after)
    assert _state(log.open(2)) == _expected(batches, erased_after)
    assert not ERASED & _names(log)


@settings(max_examples=60)
@given(streams.events(given=True), ENDS, CHORES, st.integers(0, 60), st.integers(0, 300))
def test_an_erasure_that_a_crash_cuts_short_is_completed_by_the_next_owner(
    stream: list[Event], ends: list[int], chores: list[int], place: int, cut: int
) -> None:
    batches = _batches(stream, ends)
    erased_after = place % (len(batches) + 1)
    log = Log()
    _live_through(log, batches, chores, erased_after)
    _check_after_crash(log, batches, chores, erased_after, cut % (len(log.writes) + 1))


BUSY: list[Event] = [
    kind(event_id=f"{kind.__name__}{number}", ts=number * 5, user_id="abc"[number % 3], topics=("x",), audience=number)
    for number in range(24)
    for kind in (Post, Share)
]


@pytest.mark.slow
@pytest.mark.parametrize("chores", [[0], [MAINTAIN], [MAINTAIN | SWEEP], [0, SWEEP, MAINTAIN]])
@pytest.mark.parametrize("erased_after", [1, 7, 14])
def test_a_crash_at_every_single_write_leaves_nothing_of_the_erased(chores: list[int], erased_after: int) -> None:
    batches = streams.batches_of(BUSY, range(0, 48, 7))
    log = Log()
    _live_through(log, batches, chores, erased_after)
    for cut in range(len(log.writes) + 1):
        _check_after_crash(log, batches, chores, erased_after, cut)


def _live_through(log: Log, batches: Sequence[Batch], chores: Sequence[int], erased_after: int) -> None:
    store = log.open(1)
    for number, batch in enumerate(batches):
        if number == erased_after:
            store.erase(ERASED)
        _count(store, log, batch, chores[number % len(chores)], is_after=number >= erased_after)
    if erased_after == len(batches):
        store.erase(ERASED)
    log.sweep(store)


def _check_after_crash(log: Log, batches: Sequence[Batch], chores: Sequence[int], erased_after: int, cut: int) -> None:
    left = Log(log.writes[:cut])
    store = left.open(2)
    done = _counted(store, batches)
    store.erase(ERASED)
    _finish(store, left, batches, chores)
    left.sweep(store)
    expected = _expected(batches, min(done, erased_after))
    assert _state(store) == expected, f"after {cut} writes"
    assert _state(left.open(3)) == expected, f"after {cut} writes"
    assert not ERASED & _names(left), f"after {cut} writes"


def test_erasing_twice_in_a_row_writes_no_key_twice() -> None:
    log = Log()
    store = log.open(1)
    for number in range(3):
        _count(store, log, Batch(streams.POSTS, BUSY[number * 2 : number * 2 + 1], number + 1), 1, is_after=False)
    store.erase(ERASED)
    store.erase({"b"})
    written = [write.key for write in log.writes if write.value is not None]
    assert len(written) == len(set(written))
    assert streams.totals_of(log.open(2).ledger).keys() == {("all", "*", "c"), ("all", "x", "c")}


def test_the_log_has_how_far_erasures_were_carried_out() -> None:
    log = Log()
    store = log.open(1)
    _count(store, log, Batch(streams.POSTS, BUSY[:1], 1), 0, is_after=False)
    store.ledger.erased = 7
    _count(store, log, Batch(streams.POSTS, BUSY[2:3], 2), 0, is_after=False)
    assert log.open(2).ledger.erased == 7


def test_a_segment_of_the_release_before_erasures_can_be_read() -> None:
    log = Log()
    _count(log.open(1), log, Batch(streams.POSTS, BUSY[:1], 1), 0, is_after=False)
    older = {key: _without_the_last_field_of_its_header(key, value) for key, value in log.table().items()}
    assert streams.totals_of(LedgerStore(3, streams.new_ledger(), older, _nowhere).ledger).keys() == {
        ("all", "*", "a"),
        ("all", "x", "a"),
    }


def _without_the_last_field_of_its_header(key: bytes, value: bytes) -> bytes:
    if SegmentKey.decode(key).kind == "epoch":
        return value
    version, header, *rest = msgspec.msgpack.decode(value)
    return msgspec.msgpack.encode([version, header[:-1], *rest])


def _nowhere(_key: bytes, _value: bytes | None) -> None:
    """Where nothing is kept."""


def test_a_hash_is_that_of_the_key_and_the_purpose_only() -> None:
    persons, same, other = (
        PersonHashes("0123456789abcdef"),
        PersonHashes("0123456789abcdef"),
        PersonHashes("0123456789abcdeF"),
    )
    hashes: list[Callable[[PersonHashes], str]] = [
        lambda who: who.pseudonym("ann"),
        lambda who: who.mark("ann"),
        lambda who: who.check,
    ]
    found = [find(who) for who in (persons, other) for find in hashes]
    assert len(set(found)) == len(found)
    assert [find(same) for find in hashes] == found[:3]
    assert all(len(text) == 32 and int(text, 16) for text in found)
    assert persons.marks("ann") == (persons.mark("ann"), persons.mark(persons.pseudonym("ann")))
