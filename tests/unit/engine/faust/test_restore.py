"""Recovery when one rebalance follows another: only the newest has the partitions taken over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock, patch

import pytest
from faust.types import TP

from stream_app.engine.faust.restore import Recovery

LOG = "influence-segments-changelog"


class StoppingConsumer:
    """Like aiokafka's: while it stops, it takes a cancellation of its caller for that of its own fetching."""

    def __init__(self) -> None:
        self.is_stopping = asyncio.Event()
        self.may_end = asyncio.Event()

    @asynccontextmanager
    async def reader(self, _client: object) -> AsyncIterator[Any]:
        """Instead of `topic_reader.reader`."""
        yield Mock(end_offsets=AsyncMock(side_effect=lambda logs: dict.fromkeys(logs, 0)))
        self.is_stopping.set()
        with suppress(asyncio.CancelledError):
            await self.may_end.wait()


def made() -> tuple[Recovery, Any]:
    table = Mock(changelog_topic_name=LOG, is_restored=Mock(return_value=True))
    app = Mock(
        consumer_generation_id=1,
        consumer=Mock(assignment=Mock(return_value={TP(LOG, 0)}), perform_seek=AsyncMock()),
        on_rebalance_complete=SimpleNamespace(send=AsyncMock()),
        _fetcher=Mock(maybe_start=AsyncMock()),
    )
    return Recovery(app, Mock(values=lambda: [table]), {}), app


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_recovery_that_another_rebalance_overtakes_while_its_consumer_stops_hands_nothing_over(
    *, is_cancelled: bool
) -> None:
    consumer = StoppingConsumer()
    recovery, app = made()
    with patch("stream_app.engine.faust.restore.reader", consumer.reader):
        recovering = asyncio.ensure_future(recovery._recover())
        await consumer.is_stopping.wait()
        await recovery.on_rebalance()
        if is_cancelled:
            recovering.cancel()
        consumer.may_end.set()
        await recovering
    app.on_rebalance_complete.send.assert_not_called()


async def test_a_recovery_starts_after_the_one_before_has_ended() -> None:
    under_way: list[str] = []
    begun = asyncio.Event()

    async def recover() -> None:
        under_way.append("begins")
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)
            under_way.append("ends")

    recovery, _ = made()
    with patch.object(recovery, "_recover", recover):
        async with recovery:
            for _ in range(2):
                begun.clear()
                await recovery.on_rebalance()
                async with asyncio.timeout(5):
                    await begun.wait()
            assert under_way == ["begins", "ends", "begins"]
