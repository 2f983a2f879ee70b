"""Batches are counted up to the end of a step, and what comes after it is held."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.events.credit import ViewRates, credit
from stream_app.core.events.decode import Rejected
from stream_app.core.events.identity import UNKEYED
from stream_app.core.events.schema import Post
from stream_app.core.privacy.erasures import erasure
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.core.signals.stored.event_batches import batch_of as own_batch
from stream_app.engine.counting.held_batches import Basis, CreditedBatch
from stream_app.kafka.records import Batch
from stream_app.settings.secret import Secret
from tests.unit.engine.fakes import NOW_MS, PARTITION, post, posts, record, user_of
from tests.unit.engine.packing import fetched
from tests.unit.engine.parts import Parts

KEY = "a secret of sixteen"
BASIS = Basis(UNKEYED, 0)
BAD = -1


def batch_of(times: list[int]) -> CreditedBatch:
    """A batch of events at these times; BAD stands for a record that is rejected. Offsets are even."""
    records = [record(2 * place, b"", None) for place in range(len(times))]
    indices = [place for place, ms in enumerate(times) if ms != BAD]
    events = [Post(event_id=place, ts=times[place], user_id="u") for place in indices]
    rejected = [Rejected(place, "invalid", "bad") for place, ms in enumerate(times) if ms == BAD]
    batch = Batch("posts", 0, 2 * len(times), records)
    credits_ = credit(events, Post, ViewRates())
    return CreditedBatch.of(batch, credits_, indices, rejected, BASIS, own_batch(credits_, events, 0, list))


@given(st.lists(st.integers(BAD, 30), min_size=1, max_size=20), st.lists(st.integers(0, 35), max_size=4))
def test_pieces_are_the_batch_and_end_before_the_first_event_of_the_next_step(
    times: list[int], ends: list[int]
) -> None:
    left: CreditedBatch | None = batch_of(times)
    pieces = []
    for end_ms in [*ends, 100]:
        if left is None:
            break
        now, left = left.split(end_ms)
        if now is not None:
            pieces.append(now)
            assert all(ms < end_ms for ms in now.newest_ms.tolist())
        if left is not None:
            assert left.newest_ms[left.first_event] >= end_ms
    assert left is None
    assert [one.offset for piece in pieces for one in piece.batch.records] == list(range(0, 2 * len(times), 2))
    assert [piece.batch.end for piece in pieces][-1] == 2 * len(times)
    for before, after in pairwise(pieces):
        assert before.batch.end == after.batch.records[0].offset
    for piece in pieces:
        known = {times[piece.batch.records[index].offset // 2] for index in piece.indices}
        assert BAD not in known
        bad = [times[piece.batch.records[one.index].offset // 2] for one in piece.rejected]
        assert set(bad) <= {BAD}
        assert piece.credits.ts_ms.tolist() == [times[piece.batch.records[at].offset // 2] for at in piece.indices]
        assert (len(piece.indices) + len(piece.rejected), piece.erased) == (len(piece.batch.records), 0)


async def test_what_comes_after_the_end_of_the_step_is_held_and_counted_in_the_next() -> None:
    parts = Parts()
    parts.fake.context.limit.end_ms = NOW_MS + 10
    records = [post(0), post(1, ts_ms=NOW_MS + 10), post(2), post(3, ts_ms=NOW_MS + 20)]
    await parts.waiting.take(fetched(records))
    await parts.waiting.count_all()
    source = parts.ledger.source("influence.posts")
    assert (source.position, source.applied, source.watermark) == (1, 1, NOW_MS)
    ((_, held),) = parts.waiting.held.items()
    assert (held.next_ms, held.newest_ms) == (NOW_MS + 10, NOW_MS + 20)
    parts.fake.context.limit.end_ms = NOW_MS + 20
    await parts.waiting.count_all()
    assert (source.position, source.applied) == (3, 3)
    parts.fake.context.limit.end_ms = NOW_MS + 21
    await parts.waiting.count_all()
    assert (source.position, source.applied, parts.waiting.held) == (4, 4, {})


async def test_a_late_event_is_of_the_step_that_its_source_has_come_to() -> None:
    parts = Parts()
    parts.fake.context.limit.end_ms = NOW_MS + 1
    await parts.waiting.take(fetched([post(0)]))
    await parts.waiting.count_all()
    parts.fake.context.limit.end_ms = NOW_MS
    await parts.waiting.take(fetched([post(1, ts_ms=NOW_MS - 10**9)]))
    await parts.waiting.count_all()
    ((_, held),) = parts.waiting.held.items()
    assert held.next_ms == NOW_MS


async def test_who_is_erased_while_events_are_held_is_not_counted() -> None:
    parts = Parts(person_key=Secret(KEY))
    parts.fake.context.limit.end_ms = NOW_MS
    await parts.waiting.take(fetched(posts([0])))
    await parts.waiting.count_all()
    for offset, (key, value) in enumerate(erasure(PersonHashes(KEY), user_of(PARTITION), NOW_MS)):
        parts.fake.erasures.update(key, value, offset)
    parts.ledger.erased += 1
    parts.fake.context.limit.end_ms = NOW_MS + 1
    await parts.waiting.count_all()
    source = parts.ledger.source("influence.posts")
    assert (source.position, source.applied, source.rejected) == (1, 0, 1)
