"""Lag: how far counting is behind in a source partition, after every batch, and every second where none comes."""

from stream_app.engine.context import EngineContext, OwnedPartition
from stream_app.kafka.records import Partition


class Lag:
    """Reports to the meter, and remembers in each partition since when its oldest record waits."""

    def __init__(self, context: EngineContext) -> None:
        self._meter = context.meter
        self._clock = context.clock

    def counted(self, held: OwnedPartition, tp: Partition, behind: int, arrived_s: float) -> None:
        """A batch was counted whose first record arrived at `arrived_s`: those `behind` it are about as old."""
        held.waiting_since[tp.topic] = arrived_s
        self.look(held, tp, behind)

    def look(self, held: OwnedPartition, tp: Partition, behind: int) -> None:
        """So many records are not counted yet. Where there were none before, the oldest of them has come just now."""
        now_s = self._clock()
        if not behind:
            held.waiting_since.pop(tp.topic, None)
            self._meter.lag(*tp, 0, 0.0)
            return
        self._meter.lag(*tp, behind, max(now_s - held.waiting_since.setdefault(tp.topic, now_s), 0.0))
