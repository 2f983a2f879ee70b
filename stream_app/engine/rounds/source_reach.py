"""Source reach: the event time that each source has come to, as far as this worker knows.

A source with more to read has come to the first event that is held, or to the newest that was counted. One that is read
up says nothing about time: it has come to the newest event that was known anywhere when Kafka last said that there is
no more, less a moment: a producer writes to one topic before the other, and some events come late. So flags do not
depend on how fast a stream is read that has events of an hour in a second.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping

from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.context import EngineContext, OwnedPartition
from stream_app.engine.counting.held_batches import HeldBatches
from stream_app.engine.faust.consumer import SourceConsumer
from stream_app.kafka.records import Partition

SKEW_S = 2.0
"""By so much later than others a source that is read up may get its events."""
_MOST_KNOWN = 1000


class NewestKnown:
    """The newest event time that was known, from when on."""

    def __init__(self) -> None:
        self._seen_s: list[float] = []
        self._newest_ms: list[int] = []

    @property
    def newest_ms(self) -> int:
        """The newest event time known, epoch ms."""
        return self._newest_ms[-1] if self._newest_ms else NO_TIME

    def note(self, newest_ms: int, now_s: float) -> None:
        """Note what is known at `now_s`, epoch s. If the clock was set back, what was known then is known now."""
        if self._seen_s and now_s < self._seen_s[-1]:
            newest_ms = max(newest_ms, self._newest_ms[-1])
            self._seen_s, self._newest_ms = [], []
        if newest_ms > self.newest_ms:
            self._seen_s.append(now_s)
            self._newest_ms.append(newest_ms)
            del self._seen_s[:-_MOST_KNOWN], self._newest_ms[:-_MOST_KNOWN]

    def at(self, then_s: float) -> int:
        """Return what was known at a time, epoch s."""
        place = bisect_right(self._seen_s, then_s)
        return self._newest_ms[place - 1] if place else NO_TIME


class SourceReach:
    """How far the sources of the owned partitions have come."""

    def __init__(
        self,
        context: EngineContext,
        consumer: SourceConsumer,
        held: Mapping[Partition, HeldBatches],
        elsewhere_ms: Callable[[], int],
    ) -> None:
        """`held`: see `WaitingBatches`; `elsewhere_ms`: the newest event time that other workers know of."""
        self._context = context
        self._consumer = consumer
        self._held = held
        self._elsewhere_ms = elsewhere_ms
        self._topics = context.settings.input_topics
        self.known = NewestKnown()

    def look(self) -> None:
        """Note the newest event time that is known now."""
        read_ms = (self.read_ms(place, held) for place, held in self._context.owned.items())
        self.known.note(max([self._elsewhere_ms(), *read_ms]), self._context.clock())

    def first_ms(self) -> int:
        """Return where the owned partitions stand: at the earliest end of a window, or the first event; epoch ms."""
        windows = (held.store.ledger.horizon for held in self._context.owned.values())
        events = (ahead.next_ms for ahead in self._held.values())
        return min((ms for ms in (*windows, *events) if ms != NO_TIME), default=NO_TIME)

    def read_ms(self, partition: int, held: OwnedPartition) -> int:
        """Return the newest event time that was read of a partition, epoch ms, whether it is counted or not."""
        sources = [Partition(topic, partition) for topic in self._topics]
        read = [self._held[source].newest_ms for source in sources if source in self._held]
        return max([*read, *(source.watermark for source in held.store.ledger.sources.values())], default=NO_TIME)

    def reached_ms(self, partition: int, held: OwnedPartition) -> int:
        """Return the event time that all sources of a partition have come to, epoch ms."""
        return min(self._source_reached_ms(Partition(topic, partition), held) for topic in self._topics)

    def within_reach_ms(self, partition: int, held: OwnedPartition) -> int:
        """Return the event time that all sources of a partition come to without being read further, epoch ms."""
        sources = (Partition(topic, partition) for topic in self._topics)
        return min(
            self._held[source].newest_ms if source in self._held else self._source_reached_ms(source, held)
            for source in sources
        )

    def _source_reached_ms(self, source: Partition, held: OwnedPartition) -> int:
        if (ahead := self._held.get(source)) is not None:
            return ahead.next_ms
        counted = held.store.ledger.source(source.topic)
        if self._consumer.end(source) > counted.position:
            return counted.watermark
        return max(counted.watermark, self.known.at(self._consumer.fetched_s(source) - SKEW_S))
