"""The ledger against the naive model."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog import segments
from stream_app.core.changelog.content import parts
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.events.credit import ViewRates, credit
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.state import ledger as ledger_module
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.watermark import NO_TIME, BatchCounts
from tests.unit.core import streams
from tests.unit.core.streams import POSTS, SHARES, Batch

ENDS = st.lists(st.integers(0, 60), max_size=6)
SEALS = st.lists(st.tuples(st.integers(0, 10), st.booleans()), max_size=4)


def _post(event_id: int, ts: int, audience: int | None = None) -> Post:
    return Post(event_id=event_id, ts=ts, user_id="a", audience=audience)


def _seal(ledger: Ledger, pane: int, sequence: int, *, pack: bool) -> None:
    """Through the bytes that are stored; the stored parts may be many."""
    content = ledger.content(pane)
    values = segments.encode(ledger.header(), ledger.scopes.names(), ledger.users.names, [content])
    parts = [segments.decode(value) for value in values]
    ledger.seal(pane, SegmentKey(0, "pane", pane, 1, sequence, 0), parts, pack=pack)


@settings(max_examples=60)
@given(streams.events(given=True), ENDS)
def test_counts_and_outcomes_are_those_of_the_naive_model(stream: list[Event], ends: list[int]) -> None:
    ledger, naive = streams.new_ledger(), streams.new_naive()
    for batch in streams.batches_of(stream, ends):
        applied = streams.apply(ledger, batch)
        assert streams.outcomes(applied) == naive.apply(batch.topic, batch.events)
        naive.advance(streams.newest_of(ledger))
        assert streams.state_of(ledger) == streams.naive_state(naive)
        source = ledger.source(batch.topic)
        assert (source.position, source.read) == (batch.position, batch.position)


@settings(max_examples=50)
@given(streams.events(given=True), ENDS, ENDS)
def test_the_batches_of_a_source_do_not_matter(stream: list[Event], ends: list[int], others: list[int]) -> None:
    posts = [event for event in stream if isinstance(event, Post)]
    states = []
    for cuts in (ends, others):
        ledger = streams.new_ledger()
        for batch in streams.batches_of(posts, cuts):
            streams.apply(ledger, batch)
        states.append(streams.state_of(ledger))
    assert states[0] == states[1]


@settings(max_examples=50)
@given(streams.events(given=True), ENDS, st.lists(st.sets(st.sampled_from([POSTS, SHARES])), min_size=1, max_size=5))
def test_the_window_waits_for_sources_that_lag(stream: list[Event], ends: list[int], lagging: list[set[str]]) -> None:
    ledger, naive = streams.new_ledger(), streams.new_naive()
    for number, batch in enumerate(streams.batches_of(stream, ends)):
        ledger.lagging = naive.lagging = lagging[number % len(lagging)]
        applied = streams.apply(ledger, batch)
        assert streams.outcomes(applied) == naive.apply(batch.topic, batch.events)
        naive.advance(streams.newest_of(ledger))
        assert streams.state_of(ledger) == streams.naive_state(naive)


@settings(max_examples=50)
@given(streams.events(given=True), ENDS, SEALS, st.integers(1, 5))
def test_sealing_any_pane_at_any_time_changes_no_answer(
    stream: list[Event], ends: list[int], seals: list[tuple[int, bool]], most_entries: int
) -> None:
    ledger, naive = streams.new_ledger(), streams.new_naive()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "MOST_ENTRIES", most_entries)
        for sequence, batch in enumerate(streams.batches_of(stream, ends)):
            applied = streams.apply(ledger, batch)
            assert streams.outcomes(applied) == naive.apply(batch.topic, batch.events)
            naive.advance(streams.newest_of(ledger))
            for choice, pack in seals:
                present = list(ledger.panes)
                pane = present[choice % len(present)]
                _seal(ledger, pane, sequence, pack=ledger.panes[pane].packed or (pack and ledger.is_settled(pane)))
            assert streams.state_of(ledger) == streams.naive_state(naive)


@settings(max_examples=50)
@given(streams.events(given=True), ENDS, st.booleans())
def test_new_numbers_change_no_answer(stream: list[Event], ends: list[int], seal: bool) -> None:
    ledger, naive = streams.new_ledger(), streams.new_naive()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_module, "_DEAD_ROWS_KEPT", 0)
        for sequence, batch in enumerate(streams.batches_of(stream, ends)):
            streams.apply(ledger, batch)
            naive.apply(batch.topic, batch.events)
            naive.advance(streams.newest_of(ledger))
            for pane in [pane for pane in ledger.panes if seal and ledger.is_settled(pane)]:
                _seal(ledger, pane, sequence, pack=True)
            assert streams.state_of(ledger) == streams.naive_state(naive)


def test_users_and_scopes_that_left_the_window_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_DEAD_ROWS_KEPT", 0)
    ledger = streams.new_ledger()
    for number in range(50):
        found: list[Event] = [Post(event_id=number, ts=number * 100, user_id=f"u{number}", topics=(f"t{number}",))]
        streams.apply(ledger, Batch(POSTS, found, number))
    assert streams.totals_of(ledger) == {("all", "*", "u49"): (1, 0, 0), ("all", "t49", "u49"): (1, 0, 0)}
    assert (len(ledger.rows), len(ledger.users), len(ledger.scopes)) == (2, 1, 2)
    assert ledger.renumbered > 1


def test_a_row_with_a_standing_is_kept_when_its_window_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_DEAD_ROWS_KEPT", 0)
    ledger = streams.new_ledger()
    streams.apply(ledger, Batch(POSTS, [_post(1, 0), Post(event_id=2, ts=0, user_id="b")], 2))
    ledger.rows.standings[0, 1] = 2
    ledger.advance(1000)
    assert [ledger.users.names[user] for user in ledger.rows.users.tolist()] == ["b"]
    assert ledger.rows.standings[0].tolist() == [2]


@pytest.mark.parametrize("pack", [False, True])
def test_a_redelivery_into_a_sealed_pane_counts_once(pack: bool) -> None:
    ledger = streams.new_ledger()
    streams.apply(ledger, Batch(POSTS, [_post(1, 0, 5), _post(2, 30)], 2))
    _seal(ledger, 0, 1, pack=pack)
    applied = streams.apply(ledger, Batch(POSTS, [_post(1, 0, 5), _post(3, 5, 7), _post(3, 5, 7), _post(2, 30)], 6))
    assert streams.outcomes(applied) == ["duplicate", "applied", "duplicate", "duplicate"]
    assert streams.totals_of(ledger) == {("all", "*", "a"): (3, 12, 74)}
    _seal(ledger, 0, 2, pack=pack)
    assert streams.outcomes(streams.apply(ledger, Batch(POSTS, [_post(3, 5), _post(1, 0)], 8))) == ["duplicate"] * 2
    assert not ledger.panes[0].stale


def test_an_event_that_is_worth_nothing_is_still_known_when_it_comes_again() -> None:
    ledger = streams.new_ledger()
    found: list[Event] = [_share(1), _share(1), _share(2)]
    assert streams.outcomes(streams.apply(ledger, Batch(SHARES, found, 3))) == ["applied", "duplicate", "applied"]
    assert ledger.source(SHARES).unknown == 2
    assert streams.totals_of(ledger) == {}


def test_one_event_ahead_does_not_let_a_lagging_source_lose_its_events() -> None:
    ledger = streams.new_ledger()
    ledger.lagging = {POSTS, SHARES}
    ledger.source(SHARES)
    streams.apply(ledger, Batch(POSTS, [_post(1, 0), _post(2, 1000)], 2))
    assert ledger.horizon == NO_TIME
    applied = streams.apply(ledger, Batch(SHARES, [_share(3)], 1))
    assert streams.outcomes(applied) == ["applied"]
    ledger.lagging = set()
    ledger.advance(1000)
    assert streams.totals_of(ledger) == {("all", "*", "a"): (1, 0, 0)}


def test_lateness_does_not_depend_on_the_position_in_the_other_source() -> None:
    """After a crash the sources are read in another order; the answers stay."""
    old: list[Event] = [_post(1, 1000), _post(2, 0)]
    outcomes = []
    for lagging in (set(), {SHARES}, {POSTS, SHARES}):
        ledger = streams.new_ledger()
        ledger.lagging = lagging
        outcomes.append(streams.outcomes(streams.apply(ledger, Batch(POSTS, old, 2))))
    assert outcomes == [["applied", "late"]] * 3


def test_the_window_never_goes_back() -> None:
    ledger = streams.new_ledger()
    streams.apply(ledger, Batch(POSTS, [_post(1, 1000)], 1))
    ledger.lagging = {SHARES}
    ledger.advance(0)
    assert ledger.horizon == 1000
    assert streams.outcomes(streams.apply(ledger, Batch(POSTS, [_post(2, 960), _post(3, 970)], 3))) == [
        "late",
        "applied",
    ]


def test_rejected_records_are_counted_and_move_the_position() -> None:
    ledger = streams.new_ledger()
    none = credit([], Post, ViewRates())
    applied = ledger.apply(POSTS, 7, none, ledger.late(POSTS, none.ts_ms), 7)
    assert (applied.content, applied.counts) == ([], BatchCounts(0, 0, 0, 7, 0))
    source = ledger.source(POSTS)
    assert (source.position, source.rejected, source.read) == (7, 7, 7)
    assert ledger.horizon == NO_TIME


def _share(event_id: int) -> Event:
    return Share(event_id=event_id, ts=5, user_id="a")


def test_many_small_batches_leave_few_chunks() -> None:
    ledger = streams.new_ledger()
    for number in range(2000):
        events: list[Event] = [Post(event_id=number, ts=0, user_id=f"u{number % 300}", audience=number)]
        streams.apply(ledger, Batch(POSTS, events, number + 1))
    assert len(ledger.panes[0].chunks) < 12
    assert streams.totals_of(ledger)["all", "*", "u7"] == (7, 6349, 8_278_543)
