"""Deltas that a funnel needs: none for longer than it must, and no writes while nothing happens."""

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.events.schema import Retract
from stream_app.core.retractions.retraction_batch import retractions_of
from stream_app.core.retractions.taking_back import look_up
from tests.unit.core.funnel.naive_funnel import Action
from tests.unit.core.funnel.test_funnel_log import World, small

__all__ = ["small"]
MOST_DELTAS = 6


def shared(number: int, ts_ms: int) -> Action:
    return Action(str(number), ts_ms, f"sharer-{number}", True, "ann", None, f"p{number}", 1)


def look_after(world: World, store: LedgerStore) -> None:
    """What a worker does in a round."""
    store.decide(store.ledger.horizon)
    world.send(store)
    store.maintain()
    store.sweep(store.sweepable())


def test_deltas_of_credits_are_garbage_although_nothing_else_happens() -> None:
    world = World()
    store = world.open(1)
    for number in range(40):
        world.count(store, [shared(number, number * 10)], number + 1)
        look_after(world, store)
    for _ in range(40):
        world.receive(store, 1)
        look_after(world, store)
    assert store.segment_count < 40
    world.finish(store)
    again = world.open(2)
    assert again.funnel is not None
    assert again.funnel.credited.by_scope()[0].tolist() == [1]


def test_what_is_carried_on_is_not_written_again_while_nothing_happens() -> None:
    world = World()
    store = world.open(1)
    world.count(store, [shared(number, 0) for number in range(100, 130)], 1)
    for number in range(1, 4):
        world.count(store, [shared(number, number * 10)], number + 1)
        look_after(world, store)
    retract = Retract(event_id="100", ts=40, user_id="sharer-100", of="share")
    looked_up = look_up(store.ledger, retractions_of([retract], 0))
    assert store.take_back("retractions", 1, looked_up).counts.unknown == 0
    assert store.ledger.is_patched(0)
    for number in range(4, 4 + 2 * MOST_DELTAS):  # which are needed until they are decided
        world.count(store, [shared(number, 40)], number + 1)
    store.maintain()
    written = len(world.writes)
    store.maintain()
    assert len(world.writes) == written
