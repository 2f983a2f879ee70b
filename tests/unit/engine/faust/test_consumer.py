"""The consumer: it continues where the ledgers are, whatever offsets the group has committed."""

from typing import Any, NamedTuple
from unittest.mock import AsyncMock, Mock, patch

import pytest
from aiokafka import errors
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from stream_app.engine.faust import membership
from stream_app.engine.faust.consumer import BatchConsumer, _ConsumerThread
from stream_app.engine.faust.membership import note_membership
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.engine.ownership.fencing import Lease
from stream_app.kafka.records import Partition

GENERATION = 7
MINE, UNREAD, ANOTHERS = TP("posts", 1), TP("posts", 2), TP("posts", 3)


def consumer(positions: dict[TP, int]) -> BatchConsumer:
    """One that has been assigned two partitions."""
    made = BatchConsumer.__new__(BatchConsumer)
    made.app = Mock(positions=lambda: positions)
    made._thread = Mock(assignment=lambda: {MINE, UNREAD}, seek_wait=AsyncMock())
    made._read_offset = {MINE: 99, UNREAD: 99}
    return made


async def test_discarded_records_are_read_again_from_where_the_ledgers_are() -> None:
    """Also where nothing was ever counted: Faust would stay behind what it threw away, as nothing is committed."""
    made = consumer({MINE: 40, UNREAD: 0, ANOTHERS: 7})
    await made.perform_seek()
    made._thread.seek_wait.assert_awaited_once_with({MINE: 40, UNREAD: 0})  # type: ignore[attr-defined]
    assert made._read_offset == {MINE: 40, UNREAD: None}


async def test_a_worker_that_is_stopped_while_it_starts_does_not_join_with_some_of_the_topics() -> None:
    """The group would assign it sources without the logs of their tables, and another member the logs."""
    made = consumer({})
    made.app.copartitioned = frozenset(("posts", "log"))  # type: ignore[attr-defined]
    thread: Any = made._thread
    thread.subscribe = AsyncMock()
    await made.subscribe({"posts": set()})
    thread.subscribe.assert_not_called()
    await made.subscribe({"posts": set(), "log": set()})
    thread.subscribe.assert_awaited_once()


@pytest.mark.parametrize(
    ("taken", "now", "counts"), [(True, 7, True), (True, 8, False), (True, -1, False), (False, 7, False)]
)
async def test_a_commit_counts_only_in_the_generation_it_is_meant_for(taken: bool, now: int, counts: bool) -> None:
    """Faust leaves out what is not assigned any more and says yes; a group without members takes it from anybody."""
    made = consumer({})
    made.app.health = WorkerHealth(30.0)  # type: ignore[attr-defined]
    thread: Any = made._thread
    thread.commit = AsyncMock(return_value=taken)
    thread._ensure_consumer.return_value._coordinator.generation = now
    assert await made.commit_positions({Partition(*MINE): 40}, GENERATION) is counts


class Answered(NamedTuple):
    """What a coordinator answers."""

    error_code: int


HEARTBEAT = HeartbeatRequest("influence", 1, "me")
SYNC = SyncGroupRequest("influence", 1, "me", "", [])
COMMIT = OffsetCommitRequest("influence", 1, "me", 0, [])


@pytest.mark.parametrize(
    ("request_", "code", "asked_s_ago", "lapses"),
    [
        (HEARTBEAT, 0, 1, False),
        (HEARTBEAT, errors.RebalanceInProgressError.errno, 1, False),
        (HEARTBEAT, 0, 9, True),
        (HEARTBEAT, errors.UnknownMemberIdError.errno, 1, True),
        (HEARTBEAT, errors.NotCoordinatorForGroupError.errno, 1, True),
        (SYNC, 0, 1, False),
        (SYNC, 0, 9, True),
        (COMMIT, 0, 1, True),
    ],
)
async def test_the_lease_counts_from_when_the_group_was_asked(
    request_: Any, code: int, asked_s_ago: float, lapses: bool
) -> None:
    """A process that was frozen between question and answer is not a member because of that answer."""
    clock = Mock(return_value=100.0)
    lease = Lease(6.0, clock)
    clock.return_value = 107.0

    async def answer(_request: Any) -> Answered:
        clock.return_value += asked_s_ago
        return Answered(code)

    coordinator = Mock(_send_req=answer)
    with patch.object(membership, "monotonic", clock):
        note_membership(lease, coordinator)
        assert await coordinator._send_req(request_) == Answered(code)
    assert lease.has_lapsed() is lapses


@pytest.mark.parametrize("is_leaving", [False, True])
def test_the_lease_ends_with_whatever_answer_says_that_the_group_does_not_know_us(is_leaving: bool) -> None:
    """Also the answer to a commit. Only one that leaves by itself may still write what it has."""
    lease, reset = Lease(6.0), Mock()
    coordinator = Mock(reset_generation=reset)
    coordinator._closing.done.return_value = is_leaving
    note_membership(lease, coordinator)
    coordinator.reset_generation()
    reset.assert_called_once_with()
    assert lease.has_lapsed() is not is_leaving


def test_a_fetch_waits_for_a_batch_worth_counting_but_not_for_longer_than_a_reader_would() -> None:
    with patch.object(AIOKafkaConsumerThread, "_create_consumer", return_value=Mock()):
        made: Any = _ConsumerThread.__new__(_ConsumerThread)._create_consumer(Mock())
    assert made._isolation_level == "read_committed"
    assert (made._fetch_min_bytes, made._fetch_max_wait_ms) == (1_000_000, 200)
