"""Time synchronization: before a window moves on by much, it waits until Kafka has said that its sources are read up.

The problem: a window does not wait for a source that is read up. What a fetch says about the end of a source is old by
the time the next source is counted: a producer that makes up for an outage appends a day of posts and of shares in
between, and whichever is counted first would make the other's events late, although each topic is in order. Kafka
Streams fetches the lag of an empty partition before it goes on, for the same reason (KIP-695).

How: a source is doubted once the window would be an eighth of its length further than when the source was last known
to be read up. A doubted source lags, until Kafka answers a question that was asked after the doubt arose. If there is
nothing more to read, whatever comes is newer than what the others had then, and the window may move as far as that.
Counting never waits: the consumer's own connection would answer behind the fetch that is under way.

    horizon  12:00 ── shares of 21:00 are counted ──▶ posts are doubted, the window stays ── "all read" ──▶ 21:00
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.context import Doubt, EngineContext, OwnedPartition
from stream_app.engine.liveness.broker_monitor import BrokerState
from stream_app.engine.liveness.lag import Lag
from stream_app.kafka.records import Partition

_STEPS = 8
"""In so many steps, at least, the window moves by its own length."""


class Broker(Protocol):
    """Kafka, asked beside the consumer."""

    asked: int
    """Questions so far, the one under way included."""

    @property
    def answer(self) -> BrokerState:
        """The last answer."""

    def ask_soon(self) -> None:
        """Ask again, without waiting for it."""


class TimeSynchronization:
    """Decides which sources the windows wait for."""

    def __init__(self, context: EngineContext, broker: Broker) -> None:
        self._owned = context.owned
        self._topics = context.settings.input_topics
        self._step_ms = context.settings.pane_ms * context.settings.panes // _STEPS
        self._lag = Lag(context)
        self._broker = broker

    def note_ends(self, ends: Mapping[Partition, int]) -> None:
        """Make the windows wait for sources that have unread records, given the ends of all sources."""
        for tp, end in ends.items():
            if (held := self._owned.get(tp.partition)) is not None:
                behind = max(end - held.store.ledger.source(tp.topic).position, 0)
                if behind:
                    held.store.ledger.lagging.add(tp.topic)
                self._lag.look(held, tp, behind)

    def before_moving(self, partition: int, held: OwnedPartition, horizon: Callable[[], int]) -> None:
        """Have the window wait for doubtful sources, if it is about to move far: to `horizon()`, epoch ms."""
        self._settle(partition, held)
        ledger, target_ms = held.store.ledger, horizon()
        for topic in self._topics:
            if topic not in ledger.lagging and target_ms - ledger.read_up_ms.get(topic, NO_TIME) > self._step_ms:
                held.doubts[topic] = Doubt(self._broker.asked, target_ms)
                ledger.lagging.add(topic)
        if held.doubts:
            self._broker.ask_soon()
            self._settle(partition, held)

    def _settle(self, partition: int, held: OwnedPartition) -> None:
        """End the doubts that an answer has come for."""
        answer, ledger = self._broker.answer, held.store.ledger
        for topic, doubt in list(held.doubts.items()):
            end = answer.ends.get(Partition(topic, partition))
            if end is None or answer.number <= doubt.asked:
                continue
            del held.doubts[topic]
            if end <= ledger.source(topic).position:
                ledger.read_up_ms[topic] = doubt.target_ms
                ledger.lagging.discard(topic)
