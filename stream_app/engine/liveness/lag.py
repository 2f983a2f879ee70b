"""Lag: reports how far counting is behind in a source partition, after each batch, or every second without one.

Producers may write the times of records. A partition has its records in the order of their arrival, so one that is
dated long before what arrived earlier arrived after that, and none arrived ahead of the clock.
"""

from math import inf

from stream_app.core.events.limits import TimeRange
from stream_app.core.group.clocks import TOLERANCE_S
from stream_app.engine.context import EngineContext, OwnedPartition
from stream_app.kafka.records import Partition


class Lag:
    """Reports lag to the meter, and records in each partition since when its oldest record has been waiting."""

    def __init__(self, context: EngineContext) -> None:
        self._meter = context.meter
        self._clock = context.clock
        self._first_s = TimeRange.of_days(context.settings.min_ts, context.settings.max_ts).start_ms / 1000

    def counted(self, held: OwnedPartition, tp: Partition, behind: int, stamped_s: float) -> float:
        """Report lag after a batch; return when its first record arrived, which is dated `stamped_s`.

        Those `behind` it are about as old.
        """
        arrived_s = self._arrived_s(held, tp.topic, stamped_s)
        held.waiting_since[tp.topic] = arrived_s
        self.look(held, tp, behind)
        return arrived_s

    def look(self, held: OwnedPartition, tp: Partition, behind: int) -> None:
        """Report `behind` uncounted records. If there were none before, the oldest of them has just arrived."""
        now_s = self._clock()
        if not behind:
            held.waiting_since.pop(tp.topic, None)
            held.arrived_s[tp.topic] = now_s
            self._meter.lag(*tp, 0, 0.0)
            return
        self._meter.lag(*tp, behind, max(now_s - held.waiting_since.setdefault(tp.topic, now_s), 0.0))

    def _arrived_s(self, held: OwnedPartition, topic: str, stamped_s: float) -> float:
        now_s = self._clock()
        earliest_s = held.arrived_s.get(topic, inf)
        if earliest_s > now_s:  # it is not known, or the clock has been set since
            earliest_s = min(stamped_s, now_s) if stamped_s >= self._first_s else now_s
        arrived_s = min(stamped_s, now_s) if stamped_s >= earliest_s - TOLERANCE_S else earliest_s
        held.arrived_s[topic] = max(arrived_s, earliest_s)
        return arrived_s
