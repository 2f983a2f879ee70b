"""What is stored for retractions: read by the next owner, and refused by releases that would count it wrongly."""

import msgspec
import numpy as np
import pytest

from stream_app.core.changelog import ledger_store as ledger_store_module
from stream_app.core.changelog import segments
from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.content.counted_events import CountedEvents, Worth, joined_events
from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.events.schema import Post, Retract, Share
from stream_app.core.retractions.retraction_batch import retractions_of
from stream_app.core.retractions.taking_back import look_up
from stream_app.core.state import ledger as ledger_module
from tests.unit.core import streams
from tests.unit.core.logs import Log, Write
from tests.unit.core.streams import POSTS, SHARES, Batch

FIELDS_OF_0_3 = 17
"""Of a segment."""
POST = Post(event_id="e", ts=5, user_id="a", topics=("x",), audience=7)
RETRACT = Retract(event_id="e", ts=8, user_id="a", of="post")
NOTHING_LEFT: dict[object, object] = {}


def count(store: LedgerStore, *posts: Post) -> None:
    batch = Batch(POSTS, [*posts], store.ledger.source(POSTS).position + len(posts))
    credits_ = streams.credits_of(batch)
    store.count(POSTS, batch.position, credits_, store.ledger.late(POSTS, credits_.ts_ms), 0)
    store.ledger.advance(streams.newest_of(store.ledger))


def take_back(store: LedgerStore, *retractions: Retract) -> tuple[int, ...]:
    """Applied, duplicate, late and unknown."""
    looked_up = look_up(store.ledger, retractions_of(retractions, 0))
    position = store.ledger.source("retractions").position + len(retractions)
    counts = store.take_back("retractions", position, looked_up).counts
    return counts.applied, counts.duplicate, counts.late, counts.unknown


def versions(log: Log) -> set[int]:
    stored = {key: value for key, value in log.table().items() if SegmentKey.decode(key).kind != "epoch"}
    return {segments.decode(value).version for value in stored.values()}


def as_0_3_wrote_it(log: Log) -> Log:
    """The same log without what this release has added to segments."""
    return Log(
        write
        if write.value is None or SegmentKey.decode(write.key).kind == "epoch"
        else Write(write.key, msgspec.msgpack.encode(msgspec.msgpack.decode(write.value)[:FIELDS_OF_0_3]), 0)
        for write in log.writes
    )


def test_segments_are_of_version_2_as_long_as_a_retraction_is_in_the_window() -> None:
    log = Log()
    store = log.open(1)
    count(store, POST)
    assert versions(log) == {segments.VERSION}
    take_back(store, RETRACT)
    store.maintain()
    assert segments.SINCE_0_4 in versions(log)
    count(store, Post(event_id="later", ts=1000, user_id="b"))
    count(store, Post(event_id="and again", ts=1001, user_id="b"))
    store.maintain()
    log.sweep(store)
    assert versions(log) == {segments.VERSION}


@pytest.mark.parametrize("is_sealed", [False, True])
def test_an_event_that_an_earlier_release_counted_is_too_late_to_be_taken_back(*, is_sealed: bool) -> None:
    log = Log()
    store = log.open(1)
    count(store, POST)
    if is_sealed:
        count(store, Post(event_id="f", ts=35, user_id="b"))
        store.maintain()
        log.sweep(store)
    before = as_0_3_wrote_it(log)
    store = before.open(2)
    totals = streams.totals_of(store.ledger)
    assert take_back(store, RETRACT, RETRACT) == (0, 0, 2, 0)
    store.maintain()
    assert streams.totals_of(store.ledger) == streams.totals_of(before.open(3).ledger) == totals
    count(store, POST)
    assert store.ledger.source(POSTS).duplicate == 1
    count(store, Post(event_id="new", ts=36, user_id="a", audience=1))
    assert take_back(store, Retract(event_id="new", ts=37, user_id="a", of="post")) == (1, 0, 0, 0)


def test_a_packed_pane_is_not_written_again_for_each_event_that_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_store_module, "MOST_DELTAS", 3)
    log = Log()
    store = log.open(1)
    count(store, *(Post(event_id=number, ts=5, user_id="a", audience=1) for number in range(100)))
    count(store, Post(event_id="now", ts=35, user_id="b"))
    store.maintain()
    sealed = store.ledger.panes[0].sealed
    for number in range(12):
        take_back(store, Retract(event_id=number, ts=35, user_id="a", of="post"))
        store.maintain()
        log.sweep(store)
        assert streams.totals_of(Log(log.writes).open(2).ledger)["all", "*", "a"] == (
            99 - number,
            99 - number,
            99 - number,
        )
    assert store.ledger.panes[0].sealed == sealed
    assert store.segment_count <= 3 + 2 + ledger_store_module.MOST_DELTAS
    take_back(store, Retract(event_id=50, ts=35, user_id="a", of="post"))
    store.maintain()
    assert store.ledger.panes[0].sealed != sealed  # an eighth of it is gone


def test_an_event_without_worth_is_taken_back_too_and_stays_known() -> None:
    log = Log()
    store = log.open(1)
    share = Share(event_id="e", ts=5, user_id="a")
    batch = Batch(SHARES, [share], 1)
    credits_ = streams.credits_of(batch)
    store.count(SHARES, 1, credits_, store.ledger.late(SHARES, credits_.ts_ms), 0)
    assert take_back(store, msgspec.structs.replace(RETRACT, of="share")) == (1, 0, 0, 0)
    assert take_back(store, RETRACT) == (1, 0, 0, 1)


def test_the_pane_of_a_retraction_is_empty_of_counts_and_leaves_the_window_like_any_other() -> None:
    log = Log()
    store = log.open(1)
    assert take_back(store, RETRACT, RETRACT) == (1, 1, 0, 1)
    count(store, POST)
    assert store.ledger.source(POSTS).retracted == 1
    assert streams.totals_of(store.ledger) == {}
    count(store, Post(event_id="later", ts=1000, user_id="b"))
    assert take_back(log.open(2), RETRACT) == (0, 0, 1, 0)
    assert [*log.open(3).ledger.panes] == [100]


def test_an_erased_user_leaves_no_name_and_what_is_taken_back_of_them_changes_nothing() -> None:
    log = Log()
    store = log.open(1)
    count(store, POST, Post(event_id="e", ts=6, user_id="b", audience=3))
    store.erase({"a"})
    assert take_back(store, RETRACT) == (1, 0, 0, 0)
    log.sweep(store)
    stored = [value for key, value in log.table().items() if SegmentKey.decode(key).kind != "epoch"]
    assert {name for value in stored for name in segments.decode(value).users()} == {"b"}
    assert streams.totals_of(log.open(2).ledger) == {("all", "*", "b"): (1, 3, 9)}


def test_what_a_pane_holds_of_a_user_is_what_is_left() -> None:
    """The remaining events of a person, with their times, kinds and scopes."""
    store = Log().open(1)
    other = Post(event_id="f", ts=7, user_id="a", topics=("y",), audience=1)
    count(store, POST, other)
    take_back(store, RETRACT)
    ledger = store.ledger
    found = ledger.events.content(0, ledger.panes[0], ledger.content(0).hashes, ledger.names)
    posts = found[Worth.POST]
    names = ledger.scopes.names()
    assert [ledger.users.names[user] for user in posts.users.tolist()] == ["a"]
    assert posts.after_ms.tolist() == [7]
    assert [names[scope].topic for scope in posts.scopes.tolist()] == ["*", "y"]


@pytest.mark.parametrize("place", range(5))
def test_a_segment_whose_columns_of_events_do_not_fit_is_refused(place: int) -> None:
    log = Log()
    count(log.open(1), POST)
    ((_, value),) = [item for item in log.table().items() if b"/delta/" in item[0]]
    fields = msgspec.msgpack.decode(value)
    fields[segments.Segment.__struct_fields__.index("packed_events")][place][1] += b"\x01"
    with pytest.raises(FormatError, match="do not fit together"):
        segments.decode(msgspec.msgpack.encode(fields))


def test_events_are_cut_and_joined_with_their_scopes() -> None:
    hashes = np.array([5, 6, 7], np.uint64)
    numbers, sizes, scopes = np.array([1, 2, 3]), np.array([2, 0, 3]), np.array([1, 2, 3, 4, 5])
    events = CountedEvents(hashes, numbers, numbers, numbers, sizes, scopes)
    assert events.at(np.array([2, 0])).scopes.tolist() == [3, 4, 5, 1, 2]
    assert events.part(slice(1, 3)).scopes.tolist() == [3, 4, 5]
    assert events.part(slice(3, 9)).hashes.tolist() == []
    assert joined_events([events.part(slice(2)), events.part(slice(2, None))]).scopes.tolist() == [1, 2, 3, 4, 5]
    assert events.pairs().tolist() == [0, 0, 2, 2, 2]


def test_a_user_of_whom_nothing_is_left_is_no_other_once_rows_are_renumbered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_DEAD_ROWS_KEPT", 0)
    monkeypatch.setattr(ledger_module, "_FEW_TAKEN", 0)
    store = Log().open(1)
    count(store, Post(event_id="c", ts=-5, user_id="c"), POST, Post(event_id="b", ts=29, user_id="b", topics=("x",)))
    store.maintain()
    assert store.ledger.panes[0].packed
    take_back(store, msgspec.structs.replace(RETRACT, ts=29))
    renumbered = store.ledger.renumbered
    count(store, Post(event_id="b2", ts=31, user_id="b"))
    assert store.ledger.renumbered > renumbered
    count(store, Post(event_id="b3", ts=41, user_id="b"))
    assert 0 not in store.ledger.panes
    assert streams.totals_of(store.ledger) == {("all", "*", "b"): (3, 0, 0), ("all", "x", "b"): (1, 0, 0)}
