"""Small batches wait for each other, each source in order, and are counted as one by the next round at the latest."""

import asyncio
from collections.abc import Iterable

import pytest

from stream_app.engine.counting.held_batches import HeldBatches
from stream_app.engine.counting.waiting_batches import ENOUGH, WaitingBatches
from stream_app.kafka.record_batches import FetchedBatches
from tests.unit.engine.fakes import FakeKafka, posts
from tests.unit.engine.packing import fetched
from tests.unit.engine.parts import Parts
from tests.unit.engine.test_counting import POSTS, SHARES

Offsets = tuple[str, int, int]


class Counted:
    """What was handed to counting, which takes until it may end."""

    def __init__(self) -> None:
        self.batches: list[Offsets] = []
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.holds = False
        """Whether everything comes after the end of the step."""

    async def count(self, batches: FetchedBatches | HeldBatches) -> HeldBatches | None:
        if isinstance(batches, HeldBatches):
            batches = batches.fetched
        self.batches.append((batches.topic, batches.first, batches.end))
        await self.may_end.wait()
        return HeldBatches(batches, iter([])) if self.holds else None


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def waiting(counted: Counted) -> WaitingBatches:
    return WaitingBatches(counted.count, FakeKafka())


def some(offsets: Iterable[int], topic: str = POSTS) -> FetchedBatches:
    return fetched(posts(list(offsets), topic=topic))


async def test_small_batches_of_a_source_are_counted_as_one(waiting: WaitingBatches, counted: Counted) -> None:
    for batches in (some([0, 1]), some([5], SHARES), some([2]), some([3, 4])):
        await waiting.take(batches)
    assert counted.batches == []
    await waiting.count_all()
    assert counted.batches == [(POSTS, 0, 5), (SHARES, 5, 6)]
    await waiting.count_all()
    assert len(counted.batches) == 2


async def test_enough_is_counted_at_once_with_what_waits(waiting: WaitingBatches, counted: Counted) -> None:
    await waiting.take(some([0, 1]))
    await waiting.take(some(range(2, ENOUGH)))
    await waiting.take(some(range(ENOUGH, 3 * ENOUGH)))
    assert counted.batches == [(POSTS, 0, ENOUGH), (POSTS, ENOUGH, 3 * ENOUGH)]


@pytest.mark.parametrize("after", [0, 1, 3], ids=["again", "overlapping", "a gap"])
async def test_what_does_not_follow_is_counted_apart(waiting: WaitingBatches, counted: Counted, after: int) -> None:
    await waiting.take(some([0, 1]))
    await waiting.take(some([after, after + 1]))
    assert counted.batches == [(POSTS, 0, 2), (POSTS, after, after + 2)]


async def test_a_source_is_counted_in_order_and_holds_up_no_other(waiting: WaitingBatches, counted: Counted) -> None:
    counted.may_end.clear()
    await waiting.take(some([0]))
    round_ = asyncio.create_task(waiting.count_all())
    await asyncio.sleep(0)
    agent = asyncio.create_task(waiting.take(some(range(1, ENOUGH + 1))))
    await waiting.take(some([7], SHARES))
    another = asyncio.create_task(waiting.count_all())
    for _ in range(5):
        await asyncio.sleep(0)
    assert counted.batches == [(POSTS, 0, 1), (SHARES, 7, 8)]
    counted.may_end.set()
    await asyncio.gather(round_, agent, another)
    assert counted.batches[2:] == [(POSTS, 1, ENOUGH + 1)]


async def test_what_is_forgotten_is_not_counted(waiting: WaitingBatches, counted: Counted) -> None:
    await waiting.take(some([0, 1]))
    waiting.forget()
    await waiting.count_all()
    assert counted.batches == []


async def test_batches_that_waited_count_like_one(waiting: WaitingBatches) -> None:
    together, apart = Parts(), Parts()
    waiting = WaitingBatches(together.counter.count, FakeKafka())
    for offset in range(5):
        await waiting.take(some([offset]))
        await apart.count(posts([offset]))
    await waiting.count_all()
    assert together.ledger.sources == apart.ledger.sources
    assert together.ledger.rows.totals.tolist() == apart.ledger.rows.totals.tolist()
    assert (together.store.sequence, apart.store.sequence) == (1, 5)


async def test_in_a_long_pause_between_rounds_nothing_waits_longer_than_a_tick(
    waiting: WaitingBatches, counted: Counted
) -> None:
    resting = asyncio.create_task(waiting.rest(60.0, 0.01))
    await waiting.take(some([0, 1]))
    async with asyncio.timeout(5):
        while not counted.batches:  # noqa: ASYNC110 - a tick has no event
            await asyncio.sleep(0.005)
    assert counted.batches == [(POSTS, 0, 2)]
    resting.cancel()
