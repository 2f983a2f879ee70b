"""Events that 0.2 counted, which hashed the event id alone, and events of this release, in one log."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog import ledger_store as ledger_store_module
from stream_app.core.changelog import segments
from stream_app.core.changelog.content import parts
from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.events.credit import Credits, ViewRates, credit
from stream_app.core.events.identity import Hashing, HashingPlan
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.watermark import NO_TIME
from tests.unit.core import streams
from tests.unit.core.streams import PANE_MS, PANES, POSTS, SHARES, SHORT_PANES, Batch

P = 3
FIELDS_0_2 = 15
HEADER_FIELDS_0_2 = 5
ENDS = st.lists(st.integers(0, 60), max_size=6)
OWNERS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=6)
"""Of each batch: whether 0.2 counts it, and whether panes are sealed after it."""

Table = dict[bytes, bytes]


def _as_0_2_reads(table: Table) -> Table:
    """Without the fields that 0.2 does not know: it ignores them when it reads, and leaves them out when it writes."""
    return {
        key: value if SegmentKey.decode(key).kind == "epoch" else _known_fields(value) for key, value in table.items()
    }


def _known_fields(value: bytes) -> bytes:
    fields = msgspec.msgpack.decode(value)[:FIELDS_0_2]
    fields[1] = fields[1][:HEADER_FIELDS_0_2]
    return msgspec.msgpack.encode(fields)


class Worker:
    """The owner of a partition, of 0.2 or of this release."""

    def __init__(self, table: Table, generation: int, *, is_0_2: bool, ids_until_ms: int = NO_TIME) -> None:
        self._is_0_2 = is_0_2
        self._table = table
        ledger = Ledger(PANE_MS, PANES, SHORT_PANES, event_key=generation)
        self.store = LedgerStore(P, ledger, _as_0_2_reads(table) if is_0_2 else dict(table), self._put)
        self.store.begin(generation)
        if not is_0_2:
            self.store.ledger.seen.store_ids_until(ids_until_ms, PANE_MS)

    def count(self, batch: Batch) -> list[str]:
        """Count a batch; what became of each event."""
        columns, ledger = self._credits(batch), self.store.ledger
        late = ledger.late(batch.topic, columns.ts_ms)
        applied = ledger.apply(batch.topic, batch.position, columns, late, 0)
        self.store._write_delta(applied.content)
        ledger.advance(streams.newest_of(ledger))
        return streams.outcomes(streams.Outcome(late, applied))

    def _credits(self, batch: Batch) -> Credits:
        kind = Post if batch.topic == POSTS else Share
        if not self._is_0_2:
            return credit(batch.events, kind, ViewRates(), self.store.ledger.hashing)
        columns = credit(batch.events, kind, ViewRates(), HashingPlan(by_id=True))
        assert columns.id_hashes is not None
        return columns._replace(hashes=columns.id_hashes)  # and looks them up among all that it has read

    def _put(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._table.pop(key, None)
        else:
            self._table[key] = _as_0_2_reads({key: value})[key] if self._is_0_2 else value


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of several parts, and seals of open panes, in small streams too."""
    monkeypatch.setattr(parts, "MOST_ENTRIES", 3)
    monkeypatch.setattr(ledger_store_module, "MOST_DELTAS", 2)


def _own(stream: Sequence[Event]) -> list[Event]:
    """Ids as 0.2 needs them: no two users or kinds have one in common."""
    return [
        msgspec.structs.replace(event, event_id=f"{type(event).__name__} {event.event_id} {event.user_id}")
        for event in stream
    ]


@settings(max_examples=250)
@given(streams.events(), ENDS, OWNERS)
def test_what_one_release_has_counted_the_other_knows_for_a_duplicate(
    stream: list[Event], ends: list[int], owners: list[tuple[bool, bool]]
) -> None:
    """An upgrade from 0.2, a rolling one, and back, while the time when 0.2 was last in the group is in the window."""
    table: Table = {}
    naive, before = streams.new_naive(), 0
    batches = streams.batches_of(_own(stream), ends)
    for number, batch in enumerate(batches):
        is_0_2, seals = owners[number % len(owners)]
        newest = max((source.watermark for source in naive.sources.values()), default=0)
        is_0_2 = is_0_2 and newest // PANE_MS < before + PANES - 1
        worker = Worker(table, number + 1, is_0_2=is_0_2, ids_until_ms=0)
        assert worker.count(batch) == naive.apply(batch.topic, batch.events)
        naive.advance(max(source.watermark for source in naive.sources.values()))
        if is_0_2:
            before = worker.store.ledger.window.first_pane(worker.store.ledger.horizon)
        if seals:
            worker.store.maintain()
            worker.store.sweep(worker.store.sweepable())
    found, wanted = streams.state_of(Worker(table, 99, is_0_2=False).store.ledger), streams.naive_state(naive)
    assert found._replace(recent={}) == wanted._replace(recent={}), "0.2 does not store slots"


def _posts(ts: int, *users: str) -> Batch:
    return Batch(POSTS, [Post(event_id=17, ts=ts, user_id=user) for user in users], len(users))


def test_ids_of_0_2_are_one_space_only_in_the_panes_that_0_2_counted() -> None:
    table: Table = {}
    assert Worker(table, 1, is_0_2=True).count(_posts(5, "ann", "bob")) == ["applied", "duplicate"]
    upgraded = Worker(table, 2, is_0_2=False)
    assert upgraded.store.ledger.hashing.by_id
    assert upgraded.count(_posts(5, "ann", "bob")) == ["duplicate", "duplicate"]
    assert upgraded.count(_posts(15, "ann", "bob")) == ["applied", "applied"]
    assert upgraded.count(_posts(5 + PANES * PANE_MS, "dan", "eve")) == ["applied", "applied"]
    assert not upgraded.store.ledger.hashing.by_id


def test_nothing_is_stored_by_event_id_once_0_2_has_left_the_window() -> None:
    table: Table = {}
    Worker(table, 1, is_0_2=True).count(_posts(5, "ann"))
    upgraded = Worker(table, 2, is_0_2=False)
    upgraded.count(_posts(15, "ann"))
    upgraded.count(_posts(5 + 3 * PANES * PANE_MS, "ann"))
    upgraded.store.maintain()
    upgraded.count(_posts(5 + 3 * PANES * PANE_MS, "bob"))
    newest = max(table, key=lambda key: (SegmentKey.decode(key).kind == "delta", SegmentKey.decode(key).sequence))
    runs = [run for run in segments.decode(table[newest]).runs() if len(run.hashes)]
    assert [(run.hashing, len(run.hashes)) for run in runs] == [(Hashing.EVENT, 1)]


def test_0_2_knows_what_was_counted_in_a_partition_in_which_it_had_counted_nothing() -> None:
    table: Table = {}
    Worker(table, 1, is_0_2=False, ids_until_ms=5).count(_posts(5, "ann"))
    assert Worker(table, 2, is_0_2=True).count(_posts(5, "ann")) == ["duplicate"]


def test_a_ledger_keeps_the_key_of_its_log_even_if_0_2_was_the_last_to_write() -> None:
    table: Table = {}
    Worker(table, 1, is_0_2=False).count(_posts(5, "ann"))
    Worker(table, 2, is_0_2=True).count(Batch(SHARES, [Share(event_id=1, ts=6, user_id="ann")], 1))
    third = Worker(table, 3, is_0_2=False)
    assert third.store.ledger.event_key == 1
    assert third.count(_posts(5, "ann", "bob")) == ["duplicate", "applied"]


def test_a_user_who_posts_an_id_first_takes_nothing_from_another_and_a_share_nothing_from_a_post() -> None:
    worker = Worker({}, 1, is_0_2=False)
    assert worker.count(_posts(5, "eve", "ann", "eve")) == ["applied", "applied", "duplicate"]
    shares: list[Event] = [Share(event_id=17, ts=5, user_id=user) for user in ("ann", "eve", "ann")]
    assert worker.count(Batch(SHARES, shares, 3)) == ["applied", "applied", "duplicate"]
