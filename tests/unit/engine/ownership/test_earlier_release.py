"""A worker of 0.2 in the group may take any partition over, so that what is counted must be known to it too."""

import pytest

from stream_app.core.changelog import status
from tests.unit.engine.fakes import NOW_MS, PARTITION, posts
from tests.unit.engine.parts import Parts


def status_of_0_2(partition: int) -> bytes:
    """As 0.2 publishes it: without a release."""
    return status.encode(status.Status(status.VERSION, partition, {}, NOW_MS, False, 0, 0, 0, 0))


@pytest.mark.parametrize("is_there_before", [True, False])
async def test_event_ids_are_stored_too_while_a_worker_of_0_2_has_another_partition(is_there_before: bool) -> None:
    """It may take this one over, in which it has never counted, and then reads event ids only."""
    parts = Parts(hold=False)
    said = b"status/%d" % (PARTITION + 1), status_of_0_2(PARTITION + 1)
    if is_there_before:
        parts.exchange.update(*said)
    await parts.ownership.take_over({PARTITION}, 1)
    if not is_there_before:
        assert not parts.ledger.hashing.by_id
        parts.exchange.update(*said)
        await parts.round()
    assert parts.ledger.hashing.by_id
    await parts.count(posts(range(3)))
    await parts.round()
    published = status.decode(parts.fake.producer.of("influence.curves")[-1].value or b"")
    assert published.ids_until_ms >= NOW_MS, "a later owner must know it too"
