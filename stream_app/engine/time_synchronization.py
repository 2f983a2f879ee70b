"""Time synchronization: before a window moves on by much, asks Kafka whether sources that seem read up really are.

A window does not wait for a source that is read up. What a fetch says about the end of a source is old by the time the
next source is counted: a producer that makes up for an outage appends a day of posts and of shares in between, and
whichever is counted first would make the other's events late, although each topic is in order. Kafka Streams fetches
the lag of an empty partition before it goes on, for the same reason (KIP-695).
"""

import asyncio
from collections.abc import Callable, Mapping

from aiokafka.errors import KafkaError

from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.context import EngineContext, OwnedPartition
from stream_app.engine.faust.consumer import SourceConsumer
from stream_app.engine.liveness.lag import Lag
from stream_app.kafka.records import Partition

_LEAPS = 8
"""The window is asked for about so often while it moves by its own length."""
_PATIENCE_S = 1.0


class TimeSynchronization:
    """Decides which sources the windows wait for."""

    def __init__(self, context: EngineContext, consumer: SourceConsumer) -> None:
        self._owned = context.owned
        self._topics = context.settings.input_topics
        self._leap_ms = context.settings.pane_ms * context.settings.panes // _LEAPS
        self._lag = Lag(context)
        self._consumer = consumer

    def note_ends(self, ends: Mapping[Partition, int]) -> None:
        """Make the windows wait for sources that have unread records, given the ends of all sources."""
        for tp, end in ends.items():
            if (held := self._owned.get(tp.partition)) is not None:
                behind = max(end - held.store.ledger.source(tp.topic).position, 0)
                if behind:
                    held.store.ledger.lagging.add(tp.topic)
                self._lag.look(held, tp, behind)

    async def before_moving(self, partition: int, held: OwnedPartition, horizon: Callable[[], int]) -> None:
        """Look whether sources have more to read, if the window is about to move far: to `horizon()`, epoch ms."""
        ledger, target_ms = held.store.ledger, horizon()
        doubtful = [
            Partition(topic, partition)
            for topic in self._topics
            if topic not in ledger.lagging and target_ms - held.read_up_ms.get(topic, NO_TIME) > self._leap_ms
        ]
        if not doubtful:
            return
        try:
            async with asyncio.timeout(_PATIENCE_S):
                ends = await self._consumer.ends(doubtful)
        except (TimeoutError, KafkaError):
            return  # unknown as before; the next move asks again
        self.note_ends(ends)
        target_ms = horizon()
        held.read_up_ms.update((tp.topic, target_ms) for tp in doubtful if tp.topic not in ledger.lagging)
