"""What the signals know is the same after a crash at any write, and nothing is left of who was erased."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.changelog.replay import BEFORE_PANES
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.events.credit import ViewRates, credit
from stream_app.core.events.schema import Post, Share
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.funnel.funnel_keys import FunnelKeys
from stream_app.core.messages import ROLES, Role
from stream_app.core.queries.users import UserLookup, UserQueries, UserQuery
from stream_app.core.signals.facts import Signal, all_said, facts_at
from stream_app.core.signals.stored import signal_log
from stream_app.core.signals.stored.event_batches import batch_of
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName
from tests.unit.core.logs import Log, P
from tests.unit.core.planted import BOT, MINUTE_MS, PERSON, planted

KEY = 5


@pytest.fixture(autouse=True, scope="module")
def journals_and_snapshots_are_written_early() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signal_log, "_MUCH", 300)
        patch.setattr(signal_log, "_LEAST", 900)
        yield


def opened(log: Log, generation: int) -> LedgerStore:
    """A new owner of what is left of the log."""
    ledger = Ledger(5 * MINUTE_MS, 12, 3, event_key=KEY)
    store = LedgerStore(P, ledger, log.table(), log.put)
    store.begin(generation)
    return store


def count(store: LedgerStore, events: Sequence[Post | Share], size: int, chores: Sequence[int], log: Log) -> None:
    """Count events that are not counted yet, in batches of a kind, with chores in between."""
    for number, start in enumerate(range(0, len(events), size)):
        for topic, kind in (("posts", Post), ("shares", Share)):
            some = [event for event in events[start : start + size] if isinstance(event, kind)]
            position = sum(isinstance(event, kind) for event in events[: start + size])
            if not some or position <= store.ledger.source(topic).position:
                continue
            credits_ = credit(some, kind, ViewRates(), store.ledger.hashing)
            own = batch_of(credits_, some, store.ledger.event_key, list)
            store.count(topic, position, credits_, store.ledger.late(topic, credits_.ts_ms), 0, own)
        if chores[number % len(chores)] > 0:
            store.maintain()
        if chores[number % len(chores)] > 1:
            log.sweep(store)


def known(store: LedgerStore) -> list[list[float]]:
    """All numbers of the two."""
    found = store.signals.measured([BOT, PERSON], store.ledger.event_key)
    return [column.tolist() for one in found for column in (one.values, one.events, *one.numbers.values())]


def test_a_planted_bot_is_marked_and_the_person_beside_it_is_not() -> None:
    store = opened(Log(), 1)
    count(store, planted(), 7, [1], Log())
    measured = store.signals.measured([BOT, PERSON], store.ledger.event_key)
    facts = {fact.name: fact for fact in facts_at(measured, 0)}
    assert facts.keys() == {Signal.REGULAR, Signal.ONE_SIDED}
    assert (facts[Signal.REGULAR].value, facts[Signal.REGULAR].numbers) == (0.0, {"mean_gap_s": 60.0})
    assert (facts[Signal.ONE_SIDED].value, facts[Signal.ONE_SIDED].numbers) == (1.0, {"distinct_posts": 1.0})
    assert facts[Signal.ONE_SIDED].events == 80
    assert not list(facts_at(measured, 1))


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 400), max_size=3).map(sorted),
    st.integers(1, 20),
    st.lists(st.integers(0, 2), min_size=1, max_size=3),
)
def test_a_crash_at_any_write_loses_nothing(cuts: list[int], size: int, chores: list[int]) -> None:
    events, log = planted(), Log()
    store = opened(log, 1)
    count(store, events, size, chores, log)
    np.testing.assert_equal(expected := known(store), known(opened(Log(log.writes), 2)))
    for generation, cut in enumerate(cuts, 2):
        kept = [write for write in log.writes[: cut + 1] if write.value is not None or write.confirmed_at <= cut]
        log = Log(kept)
        count(opened(log, generation), events, size, chores, log)
    np.testing.assert_equal(expected, known(opened(log, 9)))


def test_lists_have_facts_and_what_is_trusted_and_leave_out_who_is_marked_where_that_is_wanted() -> None:
    store = opened(Log(), 1)
    count(store, planted(), 7, [1], Log())
    users = UserQueries(store.ledger, FollowedCuts(), store.signals)
    everybody = UserQuery(ScopeName("all", "*"), ROLES.index(Role.CONNECTOR))
    assert [one.user for one in users.find(everybody, 9).first] == [BOT, PERSON]
    left = users.find(everybody._replace(without_marked=True), 9)
    assert (left.total, [one.user for one in left.first]) == (1, [PERSON])
    found = {one.user: one for _, one in users.look_up([UserLookup([BOT, PERSON], roles=[Role.CONNECTOR])])}
    assert [fact.name for fact in found[BOT].signals] == [Signal.REGULAR, Signal.ONE_SIDED]
    assert (found[BOT].trusted, found[PERSON].signals, found[PERSON].trusted) == (0.0, [], 1.0)
    assert all_said(found[BOT].signals) == (
        "regular: pauses of 60 s ± 0 % between 80 events; "
        "one-sided: 100 % of 80 shares credit one author, distinct posts 1"
    )


def test_a_delta_is_kept_until_a_journal_has_its_events() -> None:
    log = Log()
    store = opened(log, 1)
    count(store, planted(), 3, [2], log)
    panes = {SegmentKey.decode(key).pane for key in log.table()}
    assert signal_log.SNAPSHOT in panes
    assert store.segment_count < 30
    assert sum(pane < BEFORE_PANES for pane in panes) < 10  # journals before the snapshot are swept


def test_journals_do_not_become_many_where_little_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal_log, "_LEAST", 10**9)
    monkeypatch.setattr(signal_log, "_MOST_JOURNALS", 4)
    log = Log()
    store = opened(log, 1)
    for _ in range(2):
        count(store, planted(), 3, [2], log)
        panes = [SegmentKey.decode(key).pane for key in log.table()]
        assert signal_log.SNAPSHOT in panes
        assert sum(pane < BEFORE_PANES for pane in panes) < 10
        store = opened(log, 2)


def test_nothing_is_left_of_who_was_erased_and_all_of_the_others() -> None:
    log = Log()
    store = opened(log, 1)
    count(store, planted(), 7, [1], log)
    (_, before), (hashed,) = zip(*known(store), strict=True), FunnelKeys(KEY).persons([BOT]).tolist()
    store.erase({BOT})
    log.sweep(store)
    log.sweep(store)
    (gone, after) = zip(*known(opened(log, 2)), strict=True)
    np.testing.assert_equal(after, before)
    assert not any(number > 0 for number in gone)
    assert not any(hashed.to_bytes(8, "little") in value for value in log.table().values())
