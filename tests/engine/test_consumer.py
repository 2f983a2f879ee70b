"""The consumer: it goes on where the books are, whatever the group has committed."""

from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from faust.types import TP

from stream_app.engine.health import Health
from stream_app.engine.kafka import BatchConsumer

GENERATION = 7
MINE, UNREAD, ANOTHERS = TP("posts", 1), TP("posts", 2), TP("posts", 3)


def consumer(positions: dict[TP, int]) -> BatchConsumer:
    """One that has been assigned two partitions."""
    made = BatchConsumer.__new__(BatchConsumer)
    made.app = Mock(positions=lambda: positions)
    made._thread = Mock(assignment=lambda: {MINE, UNREAD}, seek_wait=AsyncMock())
    made._read_offset = {MINE: 99, UNREAD: 99}
    return made


async def test_records_that_were_thrown_away_are_read_again_from_where_the_books_are() -> None:
    """Also where nothing was ever counted: Faust would stay behind what it threw away, as nothing is committed."""
    made = consumer({MINE: 40, UNREAD: 0, ANOTHERS: 7})
    await made.perform_seek()
    made._thread.seek_wait.assert_awaited_once_with({MINE: 40, UNREAD: 0})  # type: ignore[attr-defined]
    assert made._read_offset == {MINE: 40, UNREAD: None}


@pytest.mark.parametrize(
    ("taken", "now", "counts"), [(True, 7, True), (True, 8, False), (True, -1, False), (False, 7, False)]
)
async def test_a_commit_counts_only_in_the_generation_it_is_meant_for(taken: bool, now: int, counts: bool) -> None:
    """Faust leaves out what is not assigned any more and says yes; a group without members takes it from anybody."""
    made = consumer({})
    made.app.health = Health(30.0)  # type: ignore[attr-defined]
    thread: Any = made._thread
    thread.commit = AsyncMock(return_value=taken)
    thread._ensure_consumer.return_value._coordinator.generation = now
    assert await made.commit_positions({MINE: 40}, GENERATION) is counts
