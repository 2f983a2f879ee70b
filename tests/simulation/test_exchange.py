"""What the exchange costs follows what has changed, however many topics and workers there are."""

import random

import pytest

from tests.simulation.exchange import Exchange, RoundCost

EVENTS = 1000
NOTHING = RoundCost(0, 0, 0, 0, 0, 0, 0)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


def rounds(workers: int, topics: int) -> tuple[RoundCost, RoundCost]:
    """Rounds of a tracker that has counted much before: with some more events, and without any."""
    exchange, chosen, names = Exchange(workers), random.Random(1), [f"t{number}" for number in range(topics)]
    exchange.count([chosen.randrange(20_000) for _ in range(40 * EVENTS)], names, seed=1)
    for _ in range(2):
        exchange.round()
    exchange.count([chosen.randrange(20_000) for _ in range(EVENTS)], names, seed=2)
    return exchange.round(), exchange.round()


def test_a_hundred_times_the_topics_cost_what_the_same_events_cost() -> None:
    few, _ = rounds(workers=16, topics=200)
    many, _ = rounds(workers=16, topics=20_000)
    assert many.message_bytes < 1.1 * few.message_bytes
    assert many.record_bytes < 1.1 * few.record_bytes
    assert many.merged < 1.1 * few.merged


def test_more_workers_divide_the_work_and_do_not_repeat_it() -> None:
    alone, four, all_of_them = (rounds(workers, topics=2000)[0] for workers in (1, 4, 64))
    assert alone.merged == four.merged == all_of_them.merged
    assert alone.records == four.records == all_of_them.records
    assert four.most_merged < 0.7 * alone.merged, "one of them has the scope of all topics, with half of the cells"
    assert all_of_them.most_merged < 0.4 * alone.merged
    assert all_of_them.message_bytes < 1.5 * four.message_bytes
    assert all_of_them.messages < EVENTS


@pytest.mark.parametrize("workers", [1, 64])
def test_a_round_in_which_nothing_has_come_in_costs_nothing(workers: int) -> None:
    assert rounds(workers, topics=2000)[1] == NOTHING
