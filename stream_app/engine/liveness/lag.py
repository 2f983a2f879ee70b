"""Lag: reports how far counting is behind in a source partition, after each batch, or every second without one."""

from stream_app.engine.context import EngineContext, OwnedPartition
from stream_app.kafka.records import Partition


class Lag:
    """Reports lag to the meter, and records in each partition since when its oldest record has been waiting."""

    def __init__(self, context: EngineContext) -> None:
        self._meter = context.meter
        self._clock = context.clock

    def counted(self, held: OwnedPartition, tp: Partition, behind: int, arrived_s: float) -> None:
        """Report lag after a batch. Its first record arrived at `arrived_s`; those `behind` it are about as old."""
        held.waiting_since[tp.topic] = arrived_s
        self.look(held, tp, behind)

    def look(self, held: OwnedPartition, tp: Partition, behind: int) -> None:
        """Report `behind` uncounted records. If there were none before, the oldest of them has just arrived."""
        now_s = self._clock()
        if not behind:
            held.waiting_since.pop(tp.topic, None)
            self._meter.lag(*tp, 0, 0.0)
            return
        self._meter.lag(*tp, behind, max(now_s - held.waiting_since.setdefault(tp.topic, now_s), 0.0))
