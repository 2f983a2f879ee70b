"""Events that are taken back, against the naive model and against ledgers that never saw them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog import ledger_store as ledger_store_module
from stream_app.core.changelog.content import parts
from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.events.schema import Event, Post, Retract
from stream_app.core.retractions.retraction_batch import retractions_of
from stream_app.core.retractions.taking_back import look_up
from stream_app.core.state import ledger as ledger_module
from tests.naive import NaiveLedger, identity_of, ms_of
from tests.unit.core import streams
from tests.unit.core.logs import Log
from tests.unit.core.streams import Batch, State

RETRACTIONS = "retractions"
MAINTAIN, SWEEP, RESTORE = 1, 2, 4
CHORES = st.lists(st.integers(0, 7), min_size=1, max_size=5)


class Taking(NamedTuple):
    """Retractions read as one batch, and the offset that follows them."""

    retractions: list[Retract]
    position: int


Step = Batch | Taking


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of several parts, seals of open panes, renumbering and what is carried on in small streams too."""
    monkeypatch.setattr(parts, "MOST_ENTRIES", 3)
    monkeypatch.setattr(ledger_store_module, "MOST_DELTAS", 3)
    monkeypatch.setattr(ledger_module, "_DEAD_ROWS_KEPT", 2)
    monkeypatch.setattr(ledger_module, "_FEW_TAKEN", 0)


def retraction_of(event: Event, after: int) -> Retract:
    """What takes an event back, so long after it."""
    ts = ms_of(event) + after
    of_post = Retract(event_id=event.event_id, ts=ts, user_id=event.user_id, of="post")
    return of_post if isinstance(event, Post) else msgspec.structs.replace(of_post, of="share")


@st.composite
def steps(draw: st.DrawFn, least_after: int = 0, span: int = 1000) -> list[Step]:
    """Batches of events and of retractions, in any order: before their event, after it, twice, of none, late.

    `span`: so far the times of events are apart at most.
    """
    stream = [msgspec.structs.replace(event, ts=ms_of(event) % span) for event in draw(streams.events(given=True))]
    ends = draw(st.lists(st.integers(0, 60), max_size=8))
    found: list[Step] = [*streams.batches_of(stream, ends)]
    taken = draw(st.lists(st.tuples(st.integers(0, 60), st.integers(least_after, 30)), max_size=20))
    retractions = [retraction_of(stream[place % len(stream)], after) for place, after in taken if stream]
    position = 0
    while retractions:
        size = draw(st.integers(1, 4))
        position += len(retractions[:size])
        # In any place, but batches of a source stay in order.
        after = max((place for place, step in enumerate(found) if isinstance(step, Taking)), default=-1)
        found.insert(draw(st.integers(after + 1, len(found))), Taking(retractions[:size], position))
        retractions = retractions[size:]
    return found


def do(store: LedgerStore, step: Step) -> list[str]:
    """Count a batch, or take events back; what became of each."""
    if isinstance(step, Batch):
        credits_ = streams.credits_of(step)
        late = store.ledger.late(step.topic, credits_.ts_ms)
        applied = store.count(step.topic, step.position, credits_, late, 0)
        came_too_late = applied.counts.retracted
        store.ledger.advance(streams.newest_of(store.ledger))
        return ["retracted"] * came_too_late
    looked_up = look_up(store.ledger, retractions_of(step.retractions, 0))
    applied = store.take_back(RETRACTIONS, step.position, looked_up)
    names = np.array(["applied", "duplicate", "late"])
    return [str(name) for name in names[applied.duplicate + 2 * looked_up.late]]


def do_naively(naive: NaiveLedger, step: Step) -> list[str]:
    """The same with the naive model."""
    if isinstance(step, Batch):
        outcomes = naive.apply(step.topic, step.events)
        naive.advance(max(source.watermark for source in naive.sources.values()))
        return [outcome for outcome in outcomes if outcome == "retracted"]
    identities = [
        ("Share" if one.of == "share" else "Post", str(one.user_id), str(one.event_id)) for one in step.retractions
    ]
    times = (one.ts for one in step.retractions)
    return [
        naive.retract(RETRACTIONS, identity, ts)
        for identity, ts in zip(identities, times, strict=True)
        if isinstance(ts, int)
    ]


def position_of(step: Step) -> tuple[str, int]:
    return (step.topic if isinstance(step, Batch) else RETRACTIONS), step.position


def run(log: Log, todo: Iterable[Step], chores: Sequence[int], generation: int = 1) -> LedgerStore:
    """Do what is not done yet, with chores after each step."""
    store = log.open(generation)
    for number, step in enumerate(todo):
        topic, position = position_of(step)
        if position <= store.ledger.source(topic).position:
            continue
        do(store, step)
        chore = chores[number % len(chores)]
        if chore & MAINTAIN:
            store.maintain()
        if chore & SWEEP:
            log.sweep(store)
        if chore & RESTORE:
            generation += 1
            store = log.open(generation)
    return store


def naively(todo: Iterable[Step]) -> NaiveLedger:
    naive = streams.new_naive()
    for step in todo:
        do_naively(naive, step)
    return naive


def shown(state: State) -> State:
    """A state without what was read."""
    return state._replace(counters={})


@settings(max_examples=120)
@given(steps(least_after=-40))
def test_outcomes_and_counts_are_those_of_the_naive_model(todo: list[Step]) -> None:
    store, naive = Log().open(1), streams.new_naive()
    for step in todo:
        assert do(store, step) == do_naively(naive, step)
        assert streams.state_of(store.ledger) == streams.naive_state(naive)
        topic, position = position_of(step)
        assert store.ledger.source(topic).read == position


@settings(max_examples=150)
@given(steps(least_after=-40), CHORES)
def test_seals_sweeps_and_restores_between_any_two_batches_change_nothing(todo: list[Step], chores: list[int]) -> None:
    log = Log()
    store = run(log, todo, chores)
    expected = streams.naive_state(naively(todo))
    assert streams.state_of(store.ledger) == expected
    assert streams.state_of(log.open(1000).ledger) == expected


@settings(max_examples=80)
@given(steps(), st.lists(st.tuples(CHORES, st.integers(0, 200)), min_size=1, max_size=4))
def test_a_crash_between_any_two_writes_takes_back_neither_twice_nor_never(
    todo: list[Step], lives: list[tuple[list[int], int]]
) -> None:
    log = Log()
    for generation, (chores, cut) in enumerate(lives):
        before = len(log.writes)
        run(log, todo, [chore & ~RESTORE for chore in chores], generation)
        written = len(log.writes) - before
        log = Log(log.writes[: before + cut % (written + 1)])
    store = run(log, todo, [MAINTAIN | SWEEP], len(lives))
    assert streams.state_of(store.ledger) == streams.naive_state(naively(todo))


@settings(max_examples=80)
@given(steps(span=streams.PANE_MS * (streams.PANES - 1)), CHORES)
def test_all_that_is_shown_is_that_of_a_ledger_that_never_saw_the_events(todo: list[Step], chores: list[int]) -> None:
    times = [ms_of(event) for step in todo if isinstance(step, Batch) for event in step.events]
    gone = {
        ("Share" if one.of == "share" else "Post", str(one.user_id), str(one.event_id))
        for step in todo
        if isinstance(step, Taking)
        for one in step.retractions
    }
    batches = [step for step in todo if isinstance(step, Batch)]
    kept = [Batch(b.topic, [e for e in b.events if identity_of(e) not in gone], b.position) for b in batches]
    expected = naively(step for step in kept if step.events)
    expected.advance(max(times, default=-(2**62)))
    assert shown(streams.state_of(run(Log(), todo, chores).ledger)) == shown(streams.naive_state(expected))
